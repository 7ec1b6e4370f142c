import Agent
import EngineStore
import GGUF
import Primitives
import Processes
import Simulator
import Telemetry

// What stands in files: people write them, disks tear them.
extension FuzzTarget {
    static let files: [FuzzTarget] = [
        FuzzTarget("gguf", "a model file") { bytes in
            let reader = GGUFReader(limits: ggufLimits)
            let file = try? reader.readHeader(byteCount: UInt64(bytes.count)) {
                offset,
                byteCount throws(GGUFError) in
                let start = Int(offset)
                return Array(bytes[start..<(start + byteCount)])
            }
            guard let file, let facts = try? ModelFacts(file) else { return }
            try expect(
                facts.layerCount <= ModelFacts.layerCountLimit,
                "\(facts.layerCount) layers"
            )
        },
        FuzzTarget("state", "an agent's state file; its checksum is put right") { bytes in
            _ = try? StateFolder.record(in: bytes)
            _ = try? StateFolder.record(in: StateFolder.sealed(bytes))
        },
        FuzzTarget("scenario", "a scenario of the simulator") { bytes in
            guard let scenario = try? Scenario(json: bytes) else { return }
            let again = try? Scenario(json: Array(scenario.json.utf8))
            try expect(again == scenario, "what was read is written as another scenario")
        },
        FuzzTarget("trace", "lines of two traces, with a zero between the traces") { bytes in
            let traces = bytes.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
            var lines = traces.map { trace in
                trace.split(separator: UInt8(ascii: "\n")).map { Array($0) }[...]
            }
            if lines.count < 2 { lines.append([]) }
            var (first, second) = (lines[0], lines[1])
            let found = try? TraceComparison.firstDifference(
                { first.popFirst() },
                { second.popFirst() }
            )
            guard let difference = found ?? nil, let line = difference.first else { return }
            var rest = lines[1]
            _ = TraceComparison.chain(of: line) { rest.popFirst() }
        },
        FuzzTarget("device", "files of /proc and /sys: each a path, a zero, its text, a zero") {
            bytes in
            var texts: [String: String] = [:]
            let parts = bytes.texts
            for place in stride(from: 0, to: parts.count - 1, by: 2) {
                texts[parts[place]] = parts[place + 1]
            }
            let sensors = DeviceSensors(texts: texts)
            try expect(sensors.threadCount >= 0, "\(sensors.threadCount) threads")
            try expect(
                sensors.temperature.map { 1..<150 ~= $0 } ?? true,
                "\(sensors.temperature ?? 0) degrees"
            )
            switch sensors.power {
            case .unknown, .mains: break
            case .charging(let percent), .battery(let percent):
                try expect(percent <= 100, "a battery at \(percent) %")
            }
        },
        FuzzTarget("process", "what the system tells of a process, /proc/PID/stat") { bytes in
            let text = String(decoding: bytes, as: UTF8.self)
            for ticksPerSecond in [1, 100, 1024] as [Int64] {
                guard let account = ProcessAccount(stat: text, ticksPerSecond: ticksPerSecond)
                else { continue }
                try expect(account.processorTime >= .zero, "a time before the start")
            }
        },
        FuzzTarget("log-line", "a line of a log file") { bytes in
            guard let line = LogLine(bytes) else { return }
            let text = line.readable(TerminalFormat(colours: true, showsDate: true, zone: .utc))
            try expect(
                !text.unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" && $0 != "\u{1B}" },
                "a log line can steer the terminal"
            )
        },
        FuzzTarget("apt-sources", "package sources: a list, a zero, a file of stanzas") { bytes in
            let texts = bytes.texts
            var sources = AptSources()
            sources.read(texts.first ?? "", fileName: "a.list")
            sources.read(texts.count > 1 ? texts[1] : "", fileName: "a.sources")
            _ = sources.mainArchive(codename: texts.count > 2 ? texts[2] : nil)
        },
        FuzzTarget("apt-output", "what apt-get prints") { bytes in
            let files = PackageDownload.files(in: bytes.text)
            _ = PackageDownload.byteCount(of: files)
            for line in bytes.text.split(separator: "\n") {
                let fraction = PackageDownload.fraction(in: String(line))
                try expect(fraction.map { 0...1 ~= $0 } ?? true, "more than all is loaded")
            }
        },
    ]

    /// Small, so that whatever exceeds them is soon found to do so.
    private static var ggufLimits: GGUFReader.Limits {
        var limits = GGUFReader.Limits()
        limits.windowByteCount = 256
        return limits
    }
}
