import Foundation
import Primitives
import Testing

@testable import Telemetry

/// A real journald in a mount namespace of its own, and this very test program in it as a child.
///
/// Nothing of the machine's own journal is touched: /run and /var/log are empty file systems in
/// memory that end with the namespace.
@Suite struct JournaldTests {
    private static let folderVariable = "CARAVAN_TEST_JOURNALD_FOLDER"
    private static let journald = "/lib/systemd/systemd-journald"

    private static var hasTrait: Bool {
        #if Journald
        true
        #else
        false
        #endif
    }

    private static var canRun: Bool {
        let programs = [journald, "/usr/bin/journalctl", "/usr/bin/unshare"]
        return hasTrait && geteuid() == 0
            && programs.allSatisfy(FileManager.default.isExecutableFile)
    }

    /// Of every kind of value and of every kind of text that the journal encodes on its own.
    private static let records = [
        LogRecord(
            "election.master.elected",
            .notice,
            "Node elected Master",
            [
                "term": 3, "node": "1a2b3c4d", "share": .number(0.25), "isLocal": .flag(true),
                "peers": .list(["phone", "laptop"]), "bytesPerSecond": .integer(.max),
            ]
        ),
        LogRecord("test.text", .error, "two\nlines, \u{1B}[31mred, 日本", ["empty": ""]),
        LogRecord("test.bare", .debug, "no fields"),
        LogRecord("test.long", .info, String(repeating: "long ", count: 1500)),
    ]

    @Test(
        .enabled(
            if: canRun,
            "needs --traits Journald, root, systemd-journald, journalctl and unshare"
        )
    )
    func `the journal shows the same fields as the JSON lines`() throws {
        let folder = try TemporaryFolder()
        try runInNamespace(folder)

        let lines = try folder.lines()
        let entries = try folder.lines(of: "journal.json").map { line in
            try #require(
                try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
            )
        }
        #expect(lines.count == Self.records.count)
        #expect(entries.count == Self.records.count)
        for (json, entry) in zip(lines, entries) {
            let line = try #require(LogLine([UInt8](json.utf8)))
            let fields = JournalFields(line.stamped, agent: line.agent)
            // Everything that the JSON line says, and nothing else of ours.
            #expect(
                Self.values(in: entry)
                    == Dictionary(
                        grouping: Self.pairs(fields),
                        by: \.name
                    ).mapValues { $0.map(\.value) }
            )
        }
        let elected = try #require(entries.first)
        #expect(elected["CARAVAN_TERM"] as? String == "3")
        #expect(elected["CARAVAN_PEERS"] as? [String] == ["phone", "laptop"])
        #expect(elected["PRIORITY"] as? String == "5")
    }

    /// What the test above starts in the namespace; it does nothing in an ordinary run.
    @Test(
        .enabled(
            if: ProcessInfo.processInfo.environment[folderVariable] != nil,
            "only as a child of the test above"
        )
    )
    func journaldChild() throws {
        let folder = try #require(ProcessInfo.processInfo.environment[Self.folderVariable])
        var configuration = LogConfiguration(agentName: "phone")
        configuration.level = .debug
        configuration.terminal = .off
        configuration.file = LogFileConfiguration(directory: folder)
        configuration.usesJournald = true
        let pipeline = try LogPipeline(configuration)
        for record in Self.records { pipeline.emit(record) }
        #expect(pipeline.close(within: .seconds(30)))
        #expect(
            pipeline.counters.journald == SinkCounters(written: UInt64(Self.records.count))
        )
    }

    private func runInNamespace(_ folder: TemporaryFolder) throws {
        let script = """
            set -e
            mount -t tmpfs tmpfs /run
            mount -t tmpfs tmpfs /var/log
            mkdir -p /run/systemd/journal /run/systemd/journald.conf.d /run/log/journal
            # Neither the kernel's log nor its audit: those belong to the machine.
            printf '[Journal]\\nStorage=volatile\\nReadKMsg=no\\nAudit=no\\nRuntimeMaxUse=16M\\n' \
                > /run/systemd/journald.conf.d/caravan.conf
            \(Self.journald) 2> "$1/journald.log" &
            journald=$!
            trap 'kill $journald; wait $journald || true' EXIT
            for attempt in $(seq 200); do
                [ -S /run/systemd/journal/socket ] && break
                sleep 0.05
            done
            "$2" --testing-library swift-testing --filter journaldChild > "$1/child.log" 2>&1
            journalctl --sync
            journalctl --all -o json --no-pager SYSLOG_IDENTIFIER=caravan > "$1/journal.json"
            """
        let process = Process()
        // It signals its whole process group, journald included.
        process.executableURL = URL(fileURLWithPath: "/usr/bin/timeout")
        let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        process.arguments = [
            "60", "/usr/bin/unshare", "--mount", "/bin/sh", "-c", script, "sh", folder.path,
            program,
        ]
        process.environment = ProcessInfo.processInfo.environment
            .merging([Self.folderVariable: folder.path]) { _, new in new }
        try process.run()
        process.waitUntilExit()
        let child = try? folder.lines(of: "child.log").suffix(20).joined(separator: "\n")
        try #require(process.terminationStatus == 0, "\(child ?? "no output")")
    }

    // MARK: Entries

    private static func pairs(_ fields: JournalFields) -> [(name: String, value: String)] {
        var pairs: [(name: String, value: String)] = []
        var rest = fields.bytes[...]
        for length in fields.lengths {
            let text = String(decoding: rest.prefix(Int(length)), as: UTF8.self)
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            pairs.append((name: String(parts[0]), value: String(parts[1])))
            rest = rest.dropFirst(Int(length))
        }
        return pairs
    }

    /// The fields of an entry that are ours, each with all its values.
    private static func values(in entry: [String: Any]) -> [String: [String]] {
        let ours = entry.filter { name, _ in
            name.hasPrefix("CARAVAN_")
                || ["MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER"].contains(name)
        }
        return ours.mapValues { value in
            switch value {
            case let text as String: [text]
            case let texts as [String]: texts
            // journalctl's form of text with control characters.
            case let bytes as [Int]:
                [String(decoding: bytes.map { UInt8(truncatingIfNeeded: $0) }, as: UTF8.self)]
            default: ["\(value)"]
            }
        }
    }
}
