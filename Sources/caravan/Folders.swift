import FoundationEssentials

/// Where things are kept unless somebody says otherwise.
enum Folders {
    /// `$CARAVAN_HOME`, else `~/.caravan`.
    static var home: String {
        let environment = ProcessInfo.processInfo.environment
        if let home = environment["CARAVAN_HOME"], !home.isEmpty { return home }
        return (environment["HOME"] ?? ".") + "/.caravan"
    }

    static var state: String { home + "/agent" }
    static var models: String { home + "/models" }
    static var engine: String { home + "/engine" }
    static var demo: String { home + "/demo" }

    /// An absolute path without `~`, so that children with another working folder find it.
    static func absolute(_ path: String) -> String {
        if path.hasPrefix("/") { return path }
        if path == "~" || path.hasPrefix("~/") {
            return (ProcessInfo.processInfo.environment["HOME"] ?? "") + path.dropFirst(1)
        }
        return FileManager.default.currentDirectoryPath + "/" + path
    }
}
