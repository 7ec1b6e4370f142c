import Primitives
import Testing

struct TextAndBytesTests {
    @Test(arguments: [
        ("", 0, ""), ("abc", 3, "abc"), ("abc", 2, "ab"), ("abc", 0, ""), ("äb", 1, ""),
        ("äb", 2, "ä"), ("a€", 3, "a"), ("a€", 4, "a€"), ("🚃🚃", 7, "🚃"),
        // One character of two scalars is not cut in half.
        ("e\u{301}x", 2, ""), ("e\u{301}x", 3, "e\u{301}"), ("👩‍💻", 10, ""), ("👩‍💻", 11, "👩‍💻"),
    ])
    func `a text is cut between characters`(text: String, limit: Int, expected: String) {
        let cut = text.cut(toByteCount: limit)
        #expect(Array(cut.utf8) == Array(expected.utf8))
    }

    @Test func `facts keep their limits`() {
        let facts = DeviceFacts(
            name: String(repeating: "ä", count: 40),
            engine: String(repeating: "x", count: 32),
            models: Array(1...17)
        )
        #expect(facts.name.utf8.count == 62)
        #expect(facts.engine.utf8.count == 31)
        #expect(facts.models == Array(1...16))
    }

    /// Published values of FNV-1a-64.
    @Test(
        arguments: [
            ("", 0xCBF2_9CE4_8422_2325), ("a", 0xAF63_DC4C_8601_EC8C),
            ("foobar", 0x8594_4171_F739_67E8),
        ] as [(String, UInt64)]
    )
    func `a fingerprint is FNV-1a-64`(text: String, fingerprint: UInt64) {
        #expect(DeviceFacts.fingerprint(ofModel: text) == fingerprint)
    }

    @Test func `integers are read as they are written`() throws {
        var bytes: [UInt8] = []
        bytes.append(bigEndian: 0x0102_0304 as UInt32)
        bytes.append(littleEndian: 0x0102_0304 as UInt32)
        bytes.append(bigEndian: 0xFF as UInt8)
        #expect(bytes == [1, 2, 3, 4, 4, 3, 2, 1, 0xFF])
        var offset = 0
        #expect(try bytes.span.readBigEndian(UInt32.self, at: &offset) == 0x0102_0304)
        #expect(try bytes.span.readLittleEndian(UInt32.self, at: &offset) == 0x0102_0304)
        #expect(try bytes.span.readBytes(1, at: &offset) == [0xFF])
        #expect(offset == 9)
    }

    @Test(arguments: 0..<16)
    func `an integer cut short is refused and leaves the offset`(byteCount: Int) {
        let bytes = [UInt8](repeating: 1, count: byteCount)
        var offset = 0
        let error = TruncatedBytes(needed: 16, available: byteCount)
        #expect(throws: error) {
            try bytes.span.readBigEndian(UInt128.self, at: &offset)
        }
        #expect(throws: error) {
            try bytes.span.readLittleEndian(UInt128.self, at: &offset)
        }
        #expect(throws: error) { try bytes.span.readBytes(16, at: &offset) }
        #expect(offset == 0)
    }

    @Test(arguments: [-1, Int.min, Int.max])
    func `a count that makes no sense is refused`(count: Int) {
        let bytes: [UInt8] = [1, 2, 3]
        var offset = 1
        #expect(throws: TruncatedBytes(needed: count, available: 2)) {
            try bytes.span.readBytes(count, at: &offset)
        }
    }
}
