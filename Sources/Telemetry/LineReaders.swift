/// How long a line may be; ours are at most about six times a record's limit, all escapes.
enum LineLimits {
    static let lineByteLimit = 256 * 1024
    static let blockByteCount = 64 * 1024
    static let lineFeed = UInt8(ascii: "\n")
    /// What stands for a line that was too long: no record, so it is counted as malformed.
    static let overlong: [UInt8] = [0]
}

/// Splits bytes that arrive in pieces into lines.
package struct LineSplitter {
    private var partial: [UInt8] = []
    private var isOverlong = false

    package init() {}

    /// Hands over each line that the bytes complete, without its line feed.
    package mutating func feed(_ bytes: [UInt8], _ onLine: ([UInt8]) throws -> Void) rethrows {
        var rest = bytes[...]
        while let end = rest.firstIndex(of: LineLimits.lineFeed) {
            keep(rest[..<end])
            let line = isOverlong ? LineLimits.overlong : partial
            reset()
            rest = rest[(end + 1)...]
            try onLine(line)
        }
        keep(rest)
    }

    /// Forgets an unfinished line.
    mutating func reset() {
        partial.removeAll(keepingCapacity: true)
        isOverlong = false
    }

    private mutating func keep(_ bytes: ArraySlice<UInt8>) {
        if partial.count + bytes.count > LineLimits.lineByteLimit {
            partial.removeAll()
            isOverlong = true
        }
        if !isOverlong { partial.append(contentsOf: bytes) }
    }
}

/// Reads a file's lines from the last to the first, without reading more than it must.
struct BackwardLineReader {
    private let file: OpenFile
    /// Everything from here on has been read.
    private var unreadEnd: Int
    /// Read, but not handed over yet: what stands before the line that was handed over last.
    private var pending: [UInt8] = []
    private var isOverlong = false
    private var isAtEnd = false

    init(_ file: OpenFile, byteCount: Int) {
        self.file = file
        unreadEnd = byteCount
    }

    /// The next line towards the front; nil before the first.
    ///
    /// The first call answers what stands after the last line feed: nothing, or a line that is
    /// still being written.
    mutating func next() throws(SystemError) -> [UInt8]? {
        if isAtEnd { return nil }
        // Where the line feed that we look for can't be: it was searched before.
        var searched = pending.endIndex
        while true {
            if let lineFeed = pending[..<searched].lastIndex(of: LineLimits.lineFeed) {
                return takeLine(from: lineFeed + 1, droppingFrom: lineFeed)
            }
            if unreadEnd == 0 {
                isAtEnd = true
                return takeLine(from: 0, droppingFrom: 0)
            }
            if pending.count > LineLimits.lineByteLimit {
                pending.removeAll()
                isOverlong = true
            }
            let count = min(LineLimits.blockByteCount, unreadEnd)
            let block = try file.read(count, at: unreadEnd - count)
            // The file shrank under our feet: there is nothing left to show of it.
            guard block.count == count else {
                isAtEnd = true
                return nil
            }
            unreadEnd -= count
            searched = count
            pending = block + pending
        }
    }

    private mutating func takeLine(from start: Int, droppingFrom end: Int) -> [UInt8] {
        let line = isOverlong ? LineLimits.overlong : [UInt8](pending[start...])
        isOverlong = false
        pending.removeSubrange(end...)
        return line
    }
}
