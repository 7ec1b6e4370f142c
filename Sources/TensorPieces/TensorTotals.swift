/// How the weights of a stream travelled.
package struct TensorTotals: Equatable, Sendable {
    /// What the other side had.
    package var foundPieces = 0
    package var foundByteCount: UInt64 = 0
    package var sentPieces = 0
    package var sentByteCount: UInt64 = 0

    package init() {}

    package var byteCount: UInt64 { foundByteCount + sentByteCount }
}
