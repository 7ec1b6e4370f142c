/// The processors of this device, as the system tells them.
struct DeviceProcessors: Equatable, Sendable {
    /// How many threads they run at a time; 0 if the system does not tell.
    var threadCount: Int

    /// Counts those that are there, not those that are awake: a phone puts some of them to sleep
    /// all the time.
    init(_ files: some SystemFiles) {
        threadCount =
            files.line("/sys/devices/system/cpu/present").flatMap(Self.count(ofRanges:))
            ?? files.text("/proc/cpuinfo").map(Self.count(cpuinfo:)) ?? 0
    }

    /// Reads `0-3,5`, as sysfs writes a set of processors; nil for anything else.
    static func count(ofRanges text: String) -> Int? {
        var count = 0
        for range in text.split(separator: ",") {
            let ends = range.split(separator: "-", omittingEmptySubsequences: false)
                .map { Int($0) }
            switch ends.count {
            case 1:
                guard ends[0] != nil else { return nil }
                count += 1
            case 2:
                guard let first = ends[0], let last = ends[1], first >= 0, last >= first,
                    last < Int(UInt16.max)
                else { return nil }
                count += last - first + 1
            default: return nil
            }
        }
        return count > 0 ? count : nil
    }

    static func count(cpuinfo text: String) -> Int {
        text.split(separator: "\n").count { line in
            // Old ARM kernels write one line `Processor : ARMv7 …` for all of them.
            line.hasPrefix("processor") && line.contains(":")
        }
    }
}
