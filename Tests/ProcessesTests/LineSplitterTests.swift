import Testing

@testable import Processes

@Suite struct LineSplitterTests {
    private func split(_ chunks: [[UInt8]]) -> [String] {
        var splitter = LineSplitter()
        var lines: [String] = []
        for chunk in chunks { lines += splitter.append(chunk.span) }
        if let rest = splitter.finish() { lines.append(rest) }
        return lines
    }

    @Test(arguments: 1...9)
    func `lines do not depend on how the reads fall`(chunkByteCount: Int) {
        let text = Array("Größe\r\n\n…\u{0B}\u{2028}mid\u{85}\nend".utf8)
        let chunks = stride(from: 0, to: text.count, by: chunkByteCount).map {
            Array(text[$0..<min($0 + chunkByteCount, text.count)])
        }
        #expect(split(chunks) == ["Größe", "", "…\u{0B}\u{2028}mid\u{85}", "end"])
    }

    @Test func `invalid UTF-8 is repaired`() {
        #expect(split([[0x61, 0xFF, 0x62, 0x0A]]) == ["a\u{FFFD}b"])
    }

    @Test func `a line over the limit is cut, marked, and its rest dropped`() {
        let limit = LineSplitter.lineByteCountLimit
        let long = [UInt8](repeating: 0x78, count: limit + 5000) + Array("\nnext\n".utf8)
        let lines = split([long])
        #expect(lines.count == 2)
        #expect(lines.first == String(repeating: "x", count: limit) + LineSplitter.cutMark)
        #expect(lines.last == "next")
        let exact = [UInt8](repeating: 0x78, count: limit) + [0x0A]
        #expect(split([exact]) == [String(repeating: "x", count: limit)])
    }

    @Test(arguments: 0..<4)
    func `the cut never leaves half a character`(shift: Int) {
        let text = String(repeating: "a", count: shift) + String(repeating: "😀", count: 5000)
        let line = split([Array(text.utf8)]).first ?? ""
        #expect(!line.contains("\u{FFFD}"))
        #expect(line.hasSuffix("😀" + LineSplitter.cutMark))
    }
}
