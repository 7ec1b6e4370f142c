import Primitives

/// The memory of this device, as the system tells it.
struct DeviceMemory: Equatable, Sendable {
    var total: ByteCount
    /// What a new program could use without others being pushed out.
    var available: ByteCount

    /// Reads /proc/meminfo; nil where there is none.
    init?(_ files: some SystemFiles) {
        guard let text = files.text("/proc/meminfo") else { return nil }
        self.init(meminfo: text)
    }

    init?(meminfo text: String) {
        func amount(_ key: String) -> ByteCount? {
            for line in text.split(separator: "\n") where line.hasPrefix(key + ":") {
                let number = line.dropFirst(key.count + 1).split(separator: " ").first
                return number.flatMap { UInt64($0) }.map { ByteCount($0 << 10) }
            }
            return nil
        }
        guard let total = amount("MemTotal"), let available = amount("MemAvailable") else {
            return nil
        }
        self.total = total
        self.available = available
    }
}
