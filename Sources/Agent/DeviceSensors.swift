package import Primitives

/// What the system of a device tells of it, in its files.
package struct DeviceSensors: Equatable, Sendable {
    /// Nil where there is no `/proc/meminfo`.
    var memory: DeviceMemory?
    /// How many threads its processors run at a time; 0 if the system does not tell.
    package var threadCount: Int
    package var power: PowerSource
    /// Of the hottest zone, in °C; nil if the system does not tell.
    package var temperature: UInt8?
    package var isThrottled: Bool

    init(_ files: some SystemFiles) {
        memory = DeviceMemory(files)
        threadCount = DeviceProcessors(files).threadCount
        power = DevicePower.read(files)
        let heat = DeviceHeat(files)
        temperature = heat.temperature
        isThrottled = heat.isThrottled
    }

    /// Reads files that are given as texts, by their paths.
    package init(texts: [String: String]) {
        self.init(SystemTexts(texts: texts))
    }
}

/// A system whose files are given.
private struct SystemTexts: SystemFiles {
    var texts: [String: String]

    func text(_ path: String) -> String? { texts[path] }

    func names(in folder: String) -> [String]? {
        let prefix = folder + "/"
        let names = texts.keys.filter { $0.hasPrefix(prefix) }.compactMap { path in
            path.dropFirst(prefix.count).split(separator: "/").first.map(String.init)
        }
        return names.isEmpty ? nil : Set(names).sorted()
    }
}
