/// The one way in which reading bytes of a fixed layout fails before their meaning is looked at.
@usableFromInline
package struct TruncatedBytes: Error, Equatable {
    @usableFromInline
    package let needed: Int
    @usableFromInline
    package let available: Int

    @inlinable
    package init(needed: Int, available: Int) {
        self.needed = needed
        self.available = available
    }
}

extension Span<UInt8> {
    /// Reads a big-endian (network order) integer and moves `offset` past it.
    @inlinable
    package func readBigEndian<Value: FixedWidthInteger & UnsignedInteger>(
        _: Value.Type = Value.self,
        at offset: inout Int
    ) throws(TruncatedBytes) -> Value {
        Value(bigEndian: try load(Value.self, at: &offset))
    }

    /// Reads a little-endian integer (GGUF, llama.cpp's RPC) and moves `offset` past it.
    @inlinable
    package func readLittleEndian<Value: FixedWidthInteger & UnsignedInteger>(
        _: Value.Type = Value.self,
        at offset: inout Int
    ) throws(TruncatedBytes) -> Value {
        Value(littleEndian: try load(Value.self, at: &offset))
    }

    /// Any bytes are an integer, wherever they begin: in one piece, since most of what is decoded
    /// is integers.
    @inlinable
    func load<Value: FixedWidthInteger & UnsignedInteger>(
        _: Value.Type,
        at offset: inout Int
    ) throws(TruncatedBytes) -> Value {
        let size = MemoryLayout<Value>.size
        try require(size, at: offset)
        let start = offset
        offset += size
        return unsafe withUnsafeBytes {
            unsafe $0.loadUnaligned(fromByteOffset: start, as: Value.self)
        }
    }

    /// Reads `count` bytes and moves `offset` past them.
    @inlinable
    package func readBytes(
        _ count: Int,
        at offset: inout Int
    ) throws(TruncatedBytes) -> [UInt8] {
        try require(count, at: offset)
        let start = offset
        offset += count
        return [UInt8](copying: extracting(start..<start + count))
    }

    @inlinable
    func require(_ size: Int, at offset: Int) throws(TruncatedBytes) {
        guard size >= 0, size <= count - offset else {
            throw TruncatedBytes(needed: size, available: count - offset)
        }
    }
}

extension [UInt8] {
    /// A copy of the span.
    @inlinable
    package init(copying span: Span<UInt8>) {
        self = unsafe span.withUnsafeBufferPointer { unsafe [UInt8]($0) }
    }

    /// Appends what is in the span.
    @inlinable
    package mutating func append(copying span: Span<UInt8>) {
        unsafe span.withUnsafeBufferPointer { unsafe append(contentsOf: $0) }
    }

    /// Appends an integer in big-endian (network) order.
    @inlinable
    package mutating func append(bigEndian value: some FixedWidthInteger & UnsignedInteger) {
        store(value.bigEndian)
    }

    /// Appends an integer in little-endian order.
    @inlinable
    package mutating func append(littleEndian value: some FixedWidthInteger & UnsignedInteger) {
        store(value.littleEndian)
    }

    /// In one piece: to append byte by byte looks each time whether the array is its own.
    @inlinable
    mutating func store<Value: FixedWidthInteger & UnsignedInteger>(_ value: Value) {
        let size = MemoryLayout<Value>.size
        append(addingCapacity: size) { output in
            unsafe output.withUnsafeMutableBufferPointer { buffer, count in
                unsafe UnsafeMutableRawBufferPointer(buffer).storeBytes(
                    of: value,
                    toByteOffset: count,
                    as: Value.self
                )
                count += size
            }
        }
    }
}
