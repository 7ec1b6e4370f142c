/// What the header of a GGUF file says: its metadata, and where each tensor lies.
///
/// The weights themselves are never read.
package struct GGUFFile: Equatable, Sendable {
    package struct Entry: Equatable, Sendable {
        package let key: String
        package let value: GGUFValue
    }

    package struct Tensor: Equatable, Sendable {
        package let name: String
        /// The length of a row first, as ggml counts them (`ne`).
        package let dimensions: [UInt64]
        package let type: TensorType
        /// Where the tensor begins, counted from `dataOffset`.
        package let offset: UInt64
        package let byteCount: UInt64
    }

    package let version: UInt32
    /// In the order of the file; no key is there twice.
    package let metadata: [Entry]
    /// In the order of the file; no name is there twice, and each lies within the file.
    package let tensors: [Tensor]
    package let alignment: UInt64
    /// Where the first tensor may begin, counted from the start of the file.
    package let dataOffset: UInt64
    package let byteCount: UInt64

    private let metadataIndex: [String: Int]
    private let tensorIndex: [String: Int]

    init(
        version: UInt32,
        metadata: [Entry],
        tensors: [Tensor],
        alignment: UInt64,
        dataOffset: UInt64,
        byteCount: UInt64
    ) throws(GGUFError) {
        self.version = version
        self.metadata = metadata
        self.tensors = tensors
        self.alignment = alignment
        self.dataOffset = dataOffset
        self.byteCount = byteCount
        // Only looked up, never iterated: the order of a dictionary differs between processes.
        var metadataIndex: [String: Int] = [:]
        for (index, entry) in metadata.enumerated()
        where metadataIndex.updateValue(index, forKey: entry.key) != nil {
            throw .duplicateKey(entry.key)
        }
        var tensorIndex: [String: Int] = [:]
        for (index, tensor) in tensors.enumerated()
        where tensorIndex.updateValue(index, forKey: tensor.name) != nil {
            throw .duplicateTensor(tensor.name)
        }
        self.metadataIndex = metadataIndex
        self.tensorIndex = tensorIndex
    }

    package subscript(key: String) -> GGUFValue? {
        metadataIndex[key].map { metadata[$0].value }
    }

    package func tensor(named name: String) -> Tensor? {
        tensorIndex[name].map { tensors[$0] }
    }
}
