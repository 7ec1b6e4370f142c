import Primitives

/// The header of a GGUF file to be written (version 3).
///
/// Metadata and tensors are given in the order of the file. A tensor's place follows from those
/// before it, so the writer of the weights only has to write them in order, each padded to the
/// alignment.
package struct GGUFHeader: Sendable {
    package static let alignment: UInt64 = 32

    package private(set) var tensors: [GGUFFile.Tensor] = []
    /// The bytes of all tensors with their padding.
    package private(set) var dataByteCount: UInt64 = 0

    private var metadata: [UInt8] = []
    private var metadataCount: UInt64 = 0

    package init() {}

    package mutating func add(_ key: String, _ value: GGUFValue) {
        metadata.append(string: key)
        metadata.append(littleEndian: value.type.rawValue)
        metadata.append(value: value)
        metadataCount += 1
    }

    /// Adds a tensor; fails when its size does not fit 64 bits or its type's blocks.
    package mutating func addTensor(
        _ name: String,
        dimensions: [UInt64],
        type: TensorType
    ) throws(GGUFError) {
        let byteCount = try type.byteCount(dimensions: dimensions, tensor: name)
        let (end, overflow) = dataByteCount.addingReportingOverflow(byteCount)
        guard !overflow, end <= .max - Self.alignment else {
            throw .invalidDimensions(dimensions, tensor: name)
        }
        tensors.append(
            GGUFFile.Tensor(
                name: name,
                dimensions: dimensions,
                type: type,
                offset: dataByteCount,
                byteCount: byteCount
            )
        )
        dataByteCount = Self.padded(end)
    }

    /// The bytes before the first tensor, padding included.
    package func encoded() -> [UInt8] {
        var bytes: [UInt8] = Array("GGUF".utf8)
        bytes.append(littleEndian: UInt32(3))
        bytes.append(littleEndian: UInt64(tensors.count))
        bytes.append(littleEndian: metadataCount)
        bytes.append(contentsOf: metadata)
        for tensor in tensors {
            bytes.append(string: tensor.name)
            bytes.append(littleEndian: UInt32(tensor.dimensions.count))
            for dimension in tensor.dimensions { bytes.append(littleEndian: dimension) }
            bytes.append(littleEndian: tensor.type.rawValue)
            bytes.append(littleEndian: tensor.offset)
        }
        let padding = Int(Self.padded(UInt64(bytes.count))) - bytes.count
        bytes.append(contentsOf: repeatElement(0, count: padding))
        return bytes
    }

    static func padded(_ byteCount: UInt64) -> UInt64 {
        (byteCount + alignment - 1) & ~(alignment - 1)
    }
}

extension [UInt8] {
    fileprivate mutating func append(string: String) {
        append(littleEndian: UInt64(string.utf8.count))
        append(contentsOf: string.utf8)
    }

    fileprivate mutating func append(value: GGUFValue) {
        switch value {
        case .uint8(let value): append(value)
        case .int8(let value): append(UInt8(bitPattern: value))
        case .uint16(let value): append(littleEndian: value)
        case .int16(let value): append(littleEndian: UInt16(bitPattern: value))
        case .uint32(let value): append(littleEndian: value)
        case .int32(let value): append(littleEndian: UInt32(bitPattern: value))
        case .float32(let value): append(littleEndian: value.bitPattern)
        case .boolean(let value): append(value ? 1 : 0)
        case .string(let value): append(string: value)
        case .uint64(let value): append(littleEndian: value)
        case .int64(let value): append(littleEndian: UInt64(bitPattern: value))
        case .float64(let value): append(littleEndian: value.bitPattern)
        case .array(let array):
            // An array that a reader passed over has nothing to write.
            let elements = array.elements ?? []
            append(littleEndian: array.elementType.rawValue)
            append(littleEndian: UInt64(elements.count))
            for element in elements { append(value: element) }
        }
    }
}
