internal import Primitives

/// What a GET_ALLOC_SIZE asks, without what differs from one run of a client to the next.
///
/// How much memory a tensor needs follows from its shape, its operation and its sources' shapes.
/// Addresses stand for tensors and buffers only: they are replaced by whether there is one.
package struct RPCAllocQuestion: Hashable, Sendable {
    package static let payloadByteCount = 4 + RPCTensor.byteCount * (1 + RPCTensor.sourceCount)

    private let bytes: [UInt8]
    package let device: UInt32

    /// Nil for a payload of another length, or with a tensor that has data, or is a view: those
    /// are asked for every time.
    package init?(_ payload: [UInt8]) {
        guard payload.count == Self.payloadByteCount else { return nil }
        var offset = 0
        var bytes: [UInt8] = []
        do {
            device = try payload.span.readLittleEndian(at: &offset)
            let tensor = try RPCTensor(reading: payload.span, at: &offset)
            guard tensor.buffer == 0, tensor.data == 0, tensor.viewSource == 0 else { return nil }
            Self.append(tensor, to: &bytes)
            for index in 0..<RPCTensor.sourceCount {
                let source = try RPCTensor(reading: payload.span, at: &offset)
                guard source.id != 0 else { continue }
                bytes.append(UInt8(index))
                Self.append(source, to: &bytes)
            }
        } catch {
            return nil
        }
        self.bytes = bytes
    }

    private static func append(_ tensor: RPCTensor, to bytes: inout [UInt8]) {
        bytes.append(littleEndian: tensor.type)
        for number in tensor.dimensions + tensor.strides { bytes.append(littleEndian: number) }
        bytes.append(littleEndian: tensor.operation)
        for number in tensor.parameters { bytes.append(littleEndian: number) }
        bytes.append(littleEndian: tensor.flags)
        bytes.append(tensor.viewSource == 0 ? 0 : 1)
        bytes.append(tensor.buffer == 0 ? 0 : 1)
    }
}

/// What servers have answered to GET_ALLOC_SIZE, so that each question is asked once.
package struct RPCAllocSizes: Sendable {
    /// One takes about half a kilobyte.
    package static let answerLimit = 1024

    private var answers: [RPCAllocQuestion: UInt64] = [:]

    package init() {}

    package var count: Int { answers.count }

    package subscript(question: RPCAllocQuestion) -> UInt64? { answers[question] }

    package mutating func learn(_ question: RPCAllocQuestion, _ byteCount: UInt64) {
        // Shapes of the last prompts matter; all others are learned again.
        if answers.count >= Self.answerLimit { answers.removeAll() }
        answers[question] = byteCount
    }
}
