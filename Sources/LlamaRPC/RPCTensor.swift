internal import Primitives

/// Why a fixed layout cannot be read.
package enum RPCLayoutError: Error, Equatable {
    case truncated(needed: Int, available: Int)
}

/// A tensor as requests describe it: the client's, its numbers are addresses there.
///
/// The layout is that of protocol 8, 296 bytes; the numbers may be anything.
package struct RPCTensor: Equatable, Sendable {
    package static let byteCount = 296
    package static let dimensionCount = 4
    package static let parameterCount = 16
    package static let sourceCount = 10
    package static let nameByteCount = 64

    /// The tensor's own address in the client.
    package var id: UInt64
    package var type: UInt32
    /// The server's buffer that holds it; 0 if none does.
    package var buffer: UInt64
    package var dimensions: [UInt32]
    package var strides: [UInt32]
    package var operation: UInt32
    package var parameters: [UInt32]
    package var flags: UInt32
    package var sources: [UInt64]
    package var viewSource: UInt64
    package var viewOffset: UInt64
    /// Where its bytes lie in the server.
    package var data: UInt64
    /// Its bytes up to the first 0, whatever they are.
    package var name: [UInt8]
    package var useCount: UInt32

    /// Reads a tensor and moves `offset` past it.
    package init(
        reading bytes: Span<UInt8>,
        at offset: inout Int
    ) throws(RPCLayoutError) {
        guard bytes.count - offset >= Self.byteCount else {
            throw .truncated(needed: Self.byteCount, available: bytes.count - offset)
        }
        do throws(TruncatedBytes) {
            func numbers(_ count: Int) throws(TruncatedBytes) -> [UInt32] {
                var numbers: [UInt32] = []
                for _ in 0..<count {
                    numbers.append(try bytes.readLittleEndian(at: &offset))
                }
                return numbers
            }
            id = try bytes.readLittleEndian(at: &offset)
            type = try bytes.readLittleEndian(at: &offset)
            buffer = try bytes.readLittleEndian(at: &offset)
            dimensions = try numbers(Self.dimensionCount)
            strides = try numbers(Self.dimensionCount)
            operation = try bytes.readLittleEndian(at: &offset)
            parameters = try numbers(Self.parameterCount)
            flags = try bytes.readLittleEndian(at: &offset)
            sources = []
            for _ in 0..<Self.sourceCount {
                sources.append(try bytes.readLittleEndian(at: &offset))
            }
            viewSource = try bytes.readLittleEndian(at: &offset)
            viewOffset = try bytes.readLittleEndian(at: &offset)
            data = try bytes.readLittleEndian(at: &offset)
            name = Array(
                try bytes.readBytes(Self.nameByteCount, at: &offset).prefix { $0 != 0 }
            )
            useCount = try bytes.readLittleEndian(at: &offset)
        } catch {
            throw .truncated(needed: error.needed, available: error.available)
        }
    }
}

/// What stands before the bytes of a SET_TENSOR: which tensor, and where in it.
package struct RPCSetTensor: Equatable, Sendable {
    /// The bytes of the tensor begin here in the payload.
    package static let prefixByteCount = RPCTensor.byteCount + 1 + 8

    package var tensor: RPCTensor
    /// The client asks the server to keep the bytes in its file cache.
    package var isCached: Bool
    /// Where in the tensor the bytes go.
    package var offset: UInt64

    package init(_ prefix: [UInt8]) throws(RPCLayoutError) {
        var offset = 0
        tensor = try RPCTensor(reading: prefix.span, at: &offset)
        guard prefix.count >= Self.prefixByteCount else {
            throw .truncated(needed: Self.prefixByteCount, available: prefix.count)
        }
        isCached = prefix[offset] != 0
        offset += 1
        self.offset = (try? prefix.span.readLittleEndian(at: &offset)) ?? 0
    }
}
