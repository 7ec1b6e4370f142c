import Foundation
import Primitives
import Testing

@testable import Telemetry

@Suite struct JSONLineTests {
    @Test func `a record is one object with typed fields in their order`() {
        let record = LogRecord(
            "election.master.elected",
            .notice,
            "Node elected Master",
            [
                "term": 3, "node": "1a2b", "share": .number(0.5), "isLocal": .flag(true),
                "peers": .list(["b", .integer(2), .list([])]), "big": .integer(.max),
            ]
        )
        #expect(
            jsonLine(stamped(record), agent: "phone") == """
                {"time":"2026-11-23T19:54:03.123456Z","level":"notice",\
                "id":"election.master.elected","message":"Node elected Master","agent":"phone",\
                "fields":{"term":3,"node":"1a2b","share":0.5,"isLocal":true,\
                "peers":["b",2,[]],"big":9223372036854775807}}

                """
        )
    }

    @Test func `every scalar up to U+02FF survives, and no control is left raw`() throws {
        for value in UInt32(0)..<0x300 {
            let scalar = try #require(Unicode.Scalar(value))
            let text = "a\(Character(scalar))b"
            let line = jsonLine(stamped(LogRecord("x", .info, text, ["\(text)": .text(text)])))
            let object = try #require(
                try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
            )
            #expect(object["message"] as? String == text)
            #expect((object["fields"] as? [String: String])?[text] == text)
            #expect(
                line.dropLast().unicodeScalars.allSatisfy {
                    $0.value >= 0x20 && !(0x7F..<0xA0).contains($0.value)
                }
            )
            let read = try #require(LogLine([UInt8](line.utf8.dropLast())))
            #expect(read.stamped.record.message == text)
            #expect(read.stamped.record.fields.first?.key == text)
        }
    }

    @Test func `bytes that are no UTF-8 become replacement characters`() throws {
        // A surrogate in UTF-8, an overlong form, a lone continuation, a cut sequence.
        let message = String(
            decoding: [0xED, 0xA0, 0x80, 0xC0, 0xAF, 0x80, 0xF0, 0x9F],
            as: UTF8.self
        )
        let line = jsonLine(stamped(LogRecord("x", .info, message)))
        let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        #expect(object?["message"] as? String == message)
        #expect(message.unicodeScalars.allSatisfy { $0 == "\u{FFFD}" })
    }

    @Test func `emoji and combined characters survive`() throws {
        let message = "👩‍👩‍👧 e\u{301} \u{2028} 日本"
        let line = jsonLine(stamped(LogRecord("x", .info, message)))
        #expect(LogLine([UInt8](line.utf8.dropLast()))?.stamped.record.message == message)
    }

    @Test func `numbers without a JSON word become text`() {
        let record = LogRecord(
            "x",
            .info,
            "m",
            ["a": .number(.infinity), "b": .number(.nan), "c": .number(1e300)]
        )
        #expect(
            jsonLine(stamped(record)).hasSuffix("{\"a\":\"inf\",\"b\":\"nan\",\"c\":1e+300}}\n")
        )
    }

    @Test func `unpaired surrogate escapes are read as replacement characters`() throws {
        func message(_ escaped: String) -> String? {
            let line =
                #"{"time":"2026-11-23T19:54:03Z","level":"info","id":"x","message":""#
                + escaped + #""}"#
            return LogLine([UInt8](line.utf8))?.stamped.record.message
        }
        #expect(message(#"\ud83d\ude00"#) == "😀")
        #expect(message(#"\ud83dx"#) == "\u{FFFD}x")
        #expect(message(#"\ude00"#) == "\u{FFFD}")
        #expect(message(#"\ud83d\ud83d\ude00"#) == "\u{FFFD}😀")
        #expect(message(#"\ud83d\u00e9"#) == "\u{FFFD}é")
        #expect(message(#"\u00zz"#) == nil)
        #expect(message(#"\x"#) == nil)
        #expect(message("\u{1}") == nil)
    }

    @Test func `every truncation of a line is refused`() {
        let record = LogRecord(
            "x.y",
            .info,
            "caf\u{e9} \"\u{1}",
            ["a": 12, "b": .list([.flag(false), .number(1.5)])]
        )
        let bytes = [UInt8](jsonLine(stamped(record)).utf8.dropLast())
        for count in 0..<bytes.count {
            #expect(LogLine([UInt8](bytes[..<count])) == nil)
        }
        #expect(LogLine(bytes)?.stamped.record == record)
        #expect(LogLine(bytes + [0x20]) != nil)
        #expect(LogLine(bytes + [0x2C]) == nil)
    }

    @Test func `members of a later version are passed over`() {
        let line = #"""
            {"schema":{"v":[1,null]},"time":"2026-11-23T19:54:03Z","level":"error","id":"x",
            "message":"m","fields":{"object":{"a":1},"none":null}}
            """#
        let record = LogLine([UInt8](line.utf8))?.stamped.record
        #expect(
            record
                == LogRecord("x", .error, "m", ["object": .text(#"{"a":1}"#), "none": "null"])
        )
    }

    @Test(arguments: [
        "01", "-", "+1", "1.", ".5", "1e", "1e999", "tru", "nul", "[1,]", "[1", "{\"a\"}", "--1",
    ])
    func `a value that is no JSON is refused`(_ value: String) {
        let line =
            #"{"time":"2026-11-23T19:54:03Z","level":"info","id":"x","message":"m","fields":{"a":"#
            + value + "}}"
        #expect(LogLine([UInt8](line.utf8)) == nil)
    }

    @Test func `nesting is bounded`() {
        let deep = String(repeating: "[", count: 100_000)
        let line =
            #"{"time":"2026-11-23T19:54:03Z","level":"info","id":"x","message":"m","fields":{"a":"#
            + deep
        #expect(LogLine([UInt8](line.utf8)) == nil)
    }
}
