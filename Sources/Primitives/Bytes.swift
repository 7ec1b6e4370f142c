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
        let size = MemoryLayout<Value>.size
        try require(size, at: offset)
        var value: Value = 0
        for index in offset..<offset + size {
            value = value << 8 | Value(self[index])
        }
        offset += size
        return value
    }

    /// Reads a little-endian integer (GGUF, llama.cpp's RPC) and moves `offset` past it.
    @inlinable
    package func readLittleEndian<Value: FixedWidthInteger & UnsignedInteger>(
        _: Value.Type = Value.self,
        at offset: inout Int
    ) throws(TruncatedBytes) -> Value {
        let size = MemoryLayout<Value>.size
        try require(size, at: offset)
        var value: Value = 0
        for index in stride(from: offset + size - 1, through: offset, by: -1) {
            value = value << 8 | Value(self[index])
        }
        offset += size
        return value
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
        self.init(capacity: span.count) { output in
            for index in span.indices { output.append(span[index]) }
        }
    }

    /// Appends what is in the span.
    @inlinable
    package mutating func append(copying span: Span<UInt8>) {
        append(addingCapacity: span.count) { output in
            for index in span.indices { output.append(span[index]) }
        }
    }

    /// Appends an integer in big-endian (network) order.
    @inlinable
    package mutating func append(bigEndian value: some FixedWidthInteger & UnsignedInteger) {
        // In one piece: to append byte by byte looks each time whether the array is its own.
        append(addingCapacity: value.bitWidth / 8) { output in
            for shift in stride(from: value.bitWidth - 8, through: 0, by: -8) {
                output.append(UInt8(truncatingIfNeeded: value >> shift))
            }
        }
    }

    /// Appends an integer in little-endian order.
    @inlinable
    package mutating func append(littleEndian value: some FixedWidthInteger & UnsignedInteger) {
        append(addingCapacity: value.bitWidth / 8) { output in
            for shift in stride(from: 0, to: value.bitWidth, by: 8) {
                output.append(UInt8(truncatingIfNeeded: value >> shift))
            }
        }
    }
}
