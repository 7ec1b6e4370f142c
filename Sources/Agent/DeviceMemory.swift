import FoundationEssentials
import Primitives

/// The memory of this device, as the system tells it.
struct DeviceMemory: Equatable, Sendable {
    var total: ByteCount
    /// What a new program could use without others being pushed out.
    var available: ByteCount

    /// Reads /proc/meminfo (Linux, Android); nil where there is none.
    static func measure() -> DeviceMemory? {
        guard let data = FileManager.default.contents(atPath: "/proc/meminfo") else { return nil }
        return DeviceMemory(meminfo: String(decoding: data, as: UTF8.self))
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
