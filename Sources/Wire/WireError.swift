import Primitives

/// Why bytes from outside were refused; nothing of them was used.
package enum WireError: Error, Equatable, Sendable {
    case truncated(needed: Int, available: Int)
    /// Not a datagram or stream of this protocol at all.
    case badMagic(UInt16)
    case unsupportedVersion(UInt8, supported: UInt8)
    /// Of another cluster on the same network.
    case otherCluster(UInt64)
    /// A field holds a value that means nothing.
    case badValue(field: String, value: UInt64)
    /// A text that is not UTF-8.
    case badText(field: String)
    case tooMany(field: String, count: Int, limit: Int)
    /// A frame announces more than is ever sent.
    case frameTooLong(byteCount: UInt32, limit: Int)
    /// Bytes remain after the last field of a kind that this version knows whole.
    case trailingBytes(Int)

    /// Short and stable, for counters.
    package var reason: String {
        switch self {
        case .truncated: "truncated"
        case .badMagic: "badMagic"
        case .unsupportedVersion: "unsupportedVersion"
        case .otherCluster: "otherCluster"
        case .badValue: "badValue"
        case .badText: "badText"
        case .tooMany: "tooMany"
        case .frameTooLong: "frameTooLong"
        case .trailingBytes: "trailingBytes"
        }
    }
}

extension WireError {
    init(_ error: TruncatedBytes) {
        self = .truncated(needed: error.needed, available: error.available)
    }
}
