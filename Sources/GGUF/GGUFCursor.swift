import Primitives

/// Reads a file from front to back through a window of bounded size.
///
/// What is passed over without being looked at is not read at all.
struct GGUFCursor {
    typealias Read = (_ offset: UInt64, _ byteCount: Int) throws(GGUFError) -> [UInt8]

    private let read: Read
    private let fileByteCount: UInt64
    private let headerByteLimit: UInt64
    private let windowByteCount: Int

    /// Where the next byte is read, counted from the start of the file.
    private(set) var offset: UInt64 = 0
    private var window: [UInt8] = []
    private var windowOffset: UInt64 = 0

    init(
        fileByteCount: UInt64,
        headerByteLimit: UInt64,
        windowByteCount: Int,
        read: @escaping Read
    ) {
        precondition(windowByteCount >= 16, "a window holds at least one value")
        self.read = read
        self.fileByteCount = fileByteCount
        self.headerByteLimit = headerByteLimit
        self.windowByteCount = windowByteCount
    }

    mutating func integer<Value: FixedWidthInteger & UnsignedInteger>(
        _: Value.Type = Value.self
    ) throws(GGUFError) -> Value {
        let size = MemoryLayout<Value>.size
        let start = try fill(size)
        var position = start
        let value: Value
        do {
            value = try window.span.readLittleEndian(at: &position)
        } catch {
            throw .truncated(
                offset: offset,
                needed: UInt64(size),
                available: UInt64(max(error.available, 0))
            )
        }
        offset += UInt64(size)
        return value
    }

    /// A length-prefixed string; bytes that are not UTF-8 are replaced.
    mutating func string(
        _ part: GGUFError.Part,
        limit: UInt64
    ) throws(GGUFError) -> String {
        let length = try integer(UInt64.self)
        guard length <= limit else { throw .overLimit(part, count: length, limit: limit) }
        try require(length)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Int(length))
        while bytes.count < Int(length) {
            let piece = min(Int(length) - bytes.count, windowByteCount)
            let start = try fill(piece)
            bytes.append(contentsOf: window[start..<start + piece])
            offset += UInt64(piece)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    mutating func skipString(limit: UInt64) throws(GGUFError) {
        let length = try integer(UInt64.self)
        guard length <= limit else { throw .overLimit(.stringBytes, count: length, limit: limit) }
        try skip(length)
    }

    mutating func skip(_ byteCount: UInt64) throws(GGUFError) {
        try require(byteCount)
        offset += byteCount
    }

    /// Checks that so many bytes follow in the file and within the limit of the header.
    func require(_ byteCount: UInt64) throws(GGUFError) {
        guard byteCount <= fileByteCount - offset else {
            throw .truncated(
                offset: offset,
                needed: byteCount,
                available: fileByteCount - offset
            )
        }
        guard byteCount <= headerByteLimit, offset <= headerByteLimit - byteCount else {
            throw .overLimit(
                .headerBytes,
                count: offset + byteCount,
                limit: headerByteLimit
            )
        }
    }

    /// Has `byteCount` bytes in the window, and returns where in it they begin.
    private mutating func fill(_ byteCount: Int) throws(GGUFError) -> Int {
        try require(UInt64(byteCount))
        if offset >= windowOffset,
            offset - windowOffset + UInt64(byteCount) <= UInt64(window.count)
        {
            return Int(offset - windowOffset)
        }
        let wanted = Int(min(UInt64(windowByteCount), fileByteCount - offset))
        window = try read(offset, wanted)
        windowOffset = offset
        guard window.count >= byteCount else {
            throw .truncated(
                offset: offset,
                needed: UInt64(byteCount),
                available: UInt64(window.count)
            )
        }
        return 0
    }
}
