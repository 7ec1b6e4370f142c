import FoundationEssentials

enum HostName {
    /// What this machine calls itself, without its domain; `device` if nothing.
    static var current: String {
        let name = ProcessInfo.processInfo.hostName.split(separator: ".").first.map(String.init)
        return name ?? "device"
    }
}
