import Primitives

/// A model with random weights, which llama.cpp loads and generates words with.
///
/// It stands in for a real model wherever only the machinery matters: tests, a first try without
/// a download. The same shape and seed give the same bytes on every machine.
package struct RandomModel: Sendable {
    /// How much is handed to the sink at once, at most.
    package static let chunkByteCount = 256 << 10

    package let shape: ModelShape
    package let seed: UInt64
    package let byteCount: UInt64

    private let header: [UInt8]
    private let tensors: [PlannedTensor]
    /// Which rows of the output hold weights; the others are zero, so their tokens never win.
    private let spokenTokens: [Bool]

    package init(
        shape: ModelShape = .tiny,
        seed: UInt64 = 0,
        name: String = "Caravan random words"
    ) throws(ModelShapeError) {
        try shape.validate()
        self.shape = shape
        self.seed = seed
        let vocabulary = Vocabulary(count: shape.vocabularySize)
        spokenTokens = vocabulary.pieces.map(\.isSpoken)
        tensors = PlannedTensor.all(shape)
        var header = GGUFHeader()
        header.addMetadata(shape, vocabulary, name: name)
        for tensor in tensors { header.addTensor(tensor) }
        self.header = header.encoded()
        byteCount = UInt64(self.header.count) + header.dataByteCount
    }

    /// Hands the file to `sink` from front to back, in chunks, so that memory stays bounded.
    ///
    /// What the sink throws ends the writing. `progress` is told the bytes written so far after
    /// each chunk.
    package func write<Failure: Error>(
        progress: (_ writtenByteCount: UInt64) -> Void = { _ in },
        to sink: (Span<UInt8>) throws(Failure) -> Void
    ) throws(Failure) {
        var output = ChunkedOutput()
        var writtenByteCount: UInt64 = 0
        func flush() throws(Failure) {
            try sink(output.bytes.span)
            writtenByteCount += UInt64(output.bytes.count)
            output.bytes.removeAll(keepingCapacity: true)
            progress(writtenByteCount)
        }
        for byte in header {
            output.bytes.append(byte)
            if output.isFull { try flush() }
        }
        for (index, tensor) in tensors.enumerated() {
            var generator = SeededGenerator(seed: seed).derived(UInt64(index))
            let levels = WeightLevels(tensor)
            for row in 0..<tensor.rowCount {
                if tensor.role == .output, !spokenTokens[row] {
                    output.appendZeros(levels.byteCount(tensor.rowLength))
                } else {
                    output.append(tensor.rowLength, levels, &generator)
                }
                if output.isFull { try flush() }
            }
            output.appendZeros(levels.padding(tensor))
        }
        if !output.bytes.isEmpty { try flush() }
    }
}

/// Bytes on their way to the sink.
private struct ChunkedOutput {
    var bytes: [UInt8] = []

    init() {
        bytes.reserveCapacity(RandomModel.chunkByteCount + 65536)
    }

    /// A row is at most 256 KiB (65,536 numbers of 4 bytes), so a chunk may exceed its size by one.
    var isFull: Bool { bytes.count >= RandomModel.chunkByteCount }

    mutating func appendZeros(_ count: Int) {
        bytes.append(contentsOf: repeatElement(0, count: count))
    }

    /// Appends random weights, eight of them from each number drawn.
    mutating func append(
        _ count: Int,
        _ levels: WeightLevels,
        _ generator: inout SeededGenerator
    ) {
        var rest = count
        while rest > 0 {
            var bits = generator.next()
            for _ in 0..<min(rest, 8) {
                levels.append(Int(bits & 255), to: &bytes)
                bits >>= 8
            }
            rest -= 8
        }
    }
}
