/// Cuts a stream of bytes into lines, however the reads fall.
///
/// Only "\n" ends a line (a "\r" before it is dropped): the Unicode separators that Swift's own
/// splitting knows occur inside the text of prompts. Invalid UTF-8 is repaired.
package struct LineSplitter {
    /// A longer line is cut, marked, and its rest dropped, so that no output can fill the memory.
    static let lineByteCountLimit = 16 * 1024
    static let cutMark = " […cut]"

    private var pending: [UInt8] = []
    private var isCut = false

    package init() {}

    /// Takes the next bytes, and returns the lines that they complete.
    package mutating func append(_ bytes: Span<UInt8>) -> [String] {
        var lines: [String] = []
        for index in bytes.indices {
            let byte = bytes[index]
            if byte == UInt8(ascii: "\n") {
                lines.append(takeLine())
            } else if pending.count < Self.lineByteCountLimit {
                pending.append(byte)
            } else {
                isCut = true
            }
        }
        return lines
    }

    /// The unfinished last line, if there is one.
    package mutating func finish() -> String? {
        pending.isEmpty ? nil : takeLine()
    }

    private mutating func takeLine() -> String {
        if isCut {
            dropBrokenCharacter()
        } else if pending.last == UInt8(ascii: "\r") {
            pending.removeLast()
        }
        let text = String(decoding: pending, as: UTF8.self)
        defer {
            pending.removeAll(keepingCapacity: pending.capacity <= 1024)
            isCut = false
        }
        return isCut ? text + Self.cutMark : text
    }

    /// Removes the start of a character that the limit cut in two.
    private mutating func dropBrokenCharacter() {
        let lead = pending.lastIndex { $0 & 0b1100_0000 != 0b1000_0000 } ?? pending.startIndex
        let byteCount = pending.endIndex - lead
        let needed =
            switch pending[lead] {
            case 0b1100_0000..<0b1110_0000: 2
            case 0b1110_0000..<0b1111_0000: 3
            case 0b1111_0000..<0b1111_1000: 4
            default: 1
            }
        if byteCount < needed { pending.removeSubrange(lead...) }
    }
}
