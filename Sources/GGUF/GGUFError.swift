/// Why a file cannot be used as a model: what was found, where, and which bound it broke.
package enum GGUFError: Error, Equatable {
    /// The parts of a file that are counted or measured against a limit.
    package enum Part: String, Sendable {
        case metadata = "metadata entries"
        case tensors
        case dimensions = "tensor dimensions"
        case arrayElements = "array elements"
        case arrayNesting = "levels of nested arrays"
        case keyBytes = "bytes of a key"
        case stringBytes = "bytes of a string"
        case tensorNameBytes = "bytes of a tensor name"
        case headerBytes = "bytes of the header"
        case layers
    }

    case notGGUF(magic: UInt32)
    case unsupportedVersion(UInt32)
    /// The file ends, or the reading closure returned less than was asked for.
    case truncated(offset: UInt64, needed: UInt64, available: UInt64)
    /// The reading closure failed; `reason` is its own words.
    case unreadable(offset: UInt64, reason: String)
    case overLimit(Part, count: UInt64, limit: UInt64)
    case unknownValueType(UInt32, key: String)
    case unknownTensorType(UInt32, tensor: String)
    case duplicateKey(String)
    case duplicateTensor(String)
    case invalidAlignment(UInt64)
    /// A dimension is zero, or the number of elements or bytes overflows 64 bits.
    case invalidDimensions([UInt64], tensor: String)
    case partialBlock(rowLength: UInt64, blockLength: UInt64, tensor: String)
    case misalignedTensor(offset: UInt64, alignment: UInt64, tensor: String)
    case tensorOutsideFile(end: UInt64, available: UInt64, tensor: String)

    case missingKey(String)
    case wrongValueType(key: String)
    case valueOutOfRange(key: String, value: UInt64, limit: UInt64)
    case missingTensor(String)
    case layerOutOfRange(layer: UInt64, layerCount: Int, tensor: String)
    /// The model is one of several files; its facts would be those of a part.
    case splitModel(fileCount: UInt64)
}

extension GGUFError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .notGGUF(let magic):
            "not a GGUF file: it begins with 0x\(String(magic.byteSwapped, radix: 16))"
        case .unsupportedVersion(let version):
            "GGUF version \(version) is not supported (2 and 3 are)"
        case .truncated(let offset, let needed, let available):
            "the file ends too early: \(needed) bytes needed at \(offset), \(available) there"
        case .unreadable(let offset, let reason):
            "cannot read at \(offset): \(reason)"
        case .overLimit(let part, let count, let limit):
            "\(count) \(part.rawValue), at most \(limit) are read"
        case .unknownValueType(let type, let key):
            "metadata \(key) has the unknown type \(type)"
        case .unknownTensorType(let type, let tensor):
            "tensor \(tensor) has the unknown type \(type)"
        case .duplicateKey(let key):
            "metadata \(key) is there twice"
        case .duplicateTensor(let name):
            "tensor \(name) is there twice"
        case .invalidAlignment(let alignment):
            "the alignment \(alignment) is not a power of two in 8...65536"
        case .invalidDimensions(let dimensions, let tensor):
            "tensor \(tensor) has the impossible dimensions \(dimensions)"
        case .partialBlock(let rowLength, let blockLength, let tensor):
            "tensor \(tensor) has rows of \(rowLength), not whole blocks of \(blockLength)"
        case .misalignedTensor(let offset, let alignment, let tensor):
            "tensor \(tensor) is at \(offset), not a multiple of \(alignment)"
        case .tensorOutsideFile(let end, let available, let tensor):
            "tensor \(tensor) ends at \(end) of \(available) data bytes: an incomplete download?"
        case .missingKey(let key):
            "metadata \(key) is missing"
        case .wrongValueType(let key):
            "metadata \(key) has a value of another type than expected"
        case .valueOutOfRange(let key, let value, let limit):
            "metadata \(key) is \(value), expected 1...\(limit)"
        case .missingTensor(let name):
            "tensor \(name) is missing"
        case .layerOutOfRange(let layer, let layerCount, let tensor):
            "tensor \(tensor) is of layer \(layer), but there are \(layerCount)"
        case .splitModel(let fileCount):
            "the model is split into \(fileCount) files: join them with llama-gguf-split --merge"
        }
    }
}
