/// Bounds of what is cut, announced and kept.
package enum PieceLimits {
    /// No piece is longer; a tensor is cut at the multiples of this, counted from its start.
    package static let pieceByteLimit = 1 << 20
    /// What is left at a tensor's end and shorter travels as it is: to ask for it would cost about
    /// as much, and a store of crumbs is slow.
    package static let pieceByteMinimum = 4 << 10
    /// Shorter tensors travel as they are.
    package static let tensorByteMinimum = 16 << 10
    /// How much the master's side keeps until the worker's side has it or was sent it.
    ///
    /// At 20 ms of round-trip time this announces 400 MB/s.
    package static let windowByteLimit = 8 << 20
    /// How much waits at the worker's side for the RPC server, before it reads no more.
    package static let readyByteLimit = 6 << 20
    /// More can wait at the worker's side only if the other side does not keep to its window.
    static let waitingByteLimit = windowByteLimit + readyByteLimit + 3 * pieceByteLimit
}

/// Where tensors are cut.
package enum PieceCut {
    /// The pieces of a tensor, as ranges counted from its start.
    package static func pieces(ofTensor byteCount: UInt64) -> [Range<UInt64>] {
        guard byteCount >= UInt64(PieceLimits.tensorByteMinimum) else { return [] }
        return stride(from: 0, to: byteCount, by: PieceLimits.pieceByteLimit).map { start in
            start..<min(byteCount, start + UInt64(PieceLimits.pieceByteLimit))
        }.filter { $0.upperBound - $0.lowerBound >= UInt64(PieceLimits.pieceByteMinimum) }
    }

    /// How much of a tensor, from a place in it, goes up to the next cut.
    static func byteCount(from start: UInt64, remaining: UInt64) -> Int {
        let limit = UInt64(PieceLimits.pieceByteLimit)
        return Int(min(limit - start % limit, remaining))
    }
}
