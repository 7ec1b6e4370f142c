@testable import Agent

/// A system whose files are texts of the test.
struct SampleFiles: SystemFiles {
    var texts: [String: String]
    /// Folders that exist without a file.
    var emptyFolders: [String] = []

    func text(_ path: String) -> String? { texts[path] }

    func names(in folder: String) -> [String]? {
        if emptyFolders.contains(folder) { return [] }
        let prefix = folder + "/"
        let names = texts.keys.filter { $0.hasPrefix(prefix) }.compactMap { path in
            path.dropFirst(prefix.count).split(separator: "/").first.map(String.init)
        }
        return names.isEmpty ? nil : Set(names).sorted()
    }

    /// Power supplies by name, each with its files.
    static func power(_ supplies: [String: [String: String]]) -> SampleFiles {
        var texts: [String: String] = [:]
        for (supply, files) in supplies {
            for (file, text) in files {
                texts["/sys/class/power_supply/\(supply)/\(file)"] = text + "\n"
            }
        }
        return SampleFiles(texts: texts)
    }

    static func thermal(_ entries: [String: [String: String]]) -> SampleFiles {
        var texts: [String: String] = [:]
        for (entry, files) in entries {
            for (file, text) in files {
                texts["/sys/class/thermal/\(entry)/\(file)"] = text + "\n"
            }
        }
        return SampleFiles(texts: texts)
    }
}
