import Primitives
import Testing

@testable import Telemetry

@Suite struct TerminalFormatTests {
    @Test func `a line has time, level, message and fields`() {
        let record = LogRecord(
            "x",
            .info,
            "Node elected Master",
            ["term": 3, "node": "1a2b3c4d00000000000000000000ffff"]
        )
        #expect(
            readable(record) == "19:54:03.123 INFO  Node elected Master  term=3 node=1a2b3c4d\n"
        )
        #expect(readable(LogRecord("x", .warning, "Alone")) == "19:54:03.123 WARN  Alone\n")
    }

    @Test func `levels are five columns wide`() {
        for level in LogLevel.allCases {
            let line = readable(LogRecord("x", level, "|"))
            #expect(line.dropFirst(13).dropFirst(5) == " |\n")
        }
    }

    @Test func `values are quoted when their end would not be seen`() {
        let record = LogRecord(
            "x",
            .info,
            "m",
            [
                "a": "", "b": "no route", "c": #"say "hi" \o/"#, "d": "k=v", "e": "plain/1.2:3",
                "f": .list(["x y", 2, .flag(true)]), "g": .number(0.25),
            ]
        )
        #expect(
            readable(record).dropFirst("19:54:03.123 INFO  m  ".count)
                == #"a="" b="no route" c="say \"hi\" \\o/" d="k=v" e=plain/1.2:3 f=["x y",2,true] g=0.25"#
                + "\n"
        )
    }

    @Test func `no control character of a record reaches the terminal`() throws {
        let controls =
            [0..<0x20, 0x7F..<0xA0, 0x2028..<0x202F, 0x2066..<0x206A].flatMap { range in
                range.compactMap { Unicode.Scalar(UInt32($0)) }
            }
        for control in controls {
            let text = "a\(Character(control))b"
            let line = readable(LogRecord("x", .info, text, ["\(text)": .text(text)]))
            #expect(!line.dropLast().unicodeScalars.contains(control))
            #expect(line.unicodeScalars.filter { $0 == "\n" }.count == 1)
        }
        #expect(readable(LogRecord("x", .info, "\u{1B}[31m\r\n")).contains(#"\u{1b}[31m\r\n"#))
    }

    @Test func `colours only when asked for`() {
        var line: [UInt8] = []
        TerminalFormat(colours: true, zone: .utc)
            .append(stamped(LogRecord("x", .error, "m", ["a": 1])), to: &line)
        #expect(
            String(decoding: line, as: UTF8.self)
                == "\u{1B}[2m19:54:03.123\u{1B}[0m \u{1B}[31mERROR\u{1B}[0m m\u{1B}[2m  a=1\u{1B}[0m\n"
        )
        #expect(!readable(LogRecord("x", .error, "m")).contains("\u{1B}"))
    }

    @Test func `a date is shown on demand`() {
        var line: [UInt8] = []
        TerminalFormat(colours: false, showsDate: true, zone: .utc)
            .append(stamped(LogRecord("x", .info, "m")), to: &line)
        #expect(String(decoding: line, as: UTF8.self) == "2026-11-23 19:54:03.123 INFO  m\n")
    }
}
