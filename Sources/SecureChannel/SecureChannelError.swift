package import Primitives

/// Why sealed bytes were refused; nothing of them was used.
package enum SecureChannelError: Error, Equatable, Sendable {
    case truncated(needed: Int, available: Int)
    /// Not a sealed datagram or stream at all.
    case badMagic(UInt16)
    case unsupportedVersion(UInt8, supported: UInt8)
    case badValue(field: String, value: UInt64)
    /// Sealed with a key that this device does not have, or has no more.
    case unknownKey(UInt32)
    /// Of a session that was never agreed on, or is forgotten.
    case unknownSession(UInt32)
    /// Altered on its way, or made by somebody without the key.
    case doesNotOpen
    /// Taken already, or too old to know.
    case replayed
    /// A beacon of a time before this agent was started, or long past, or of a clock that is behind.
    case tooOld(milliseconds: UInt64)
    /// With a key that a removed device has, too, by who was no member when that was removed.
    case closingKey(UInt32)
    /// The newest of its sender, once more: it was sent over several ways.
    case repeated
    /// A handshake message that does not belong here.
    case outOfOrder
    case tooLong(byteCount: Int, limit: Int)
    /// A device that was removed from the cluster.
    case removedDevice
    /// A stream, or the beginning of a handshake, that says that it comes from another device than
    /// it does.
    case otherSender
    /// A hello that was sent to somewhere else, and recorded, or translated on its way.
    case otherTarget(Endpoint)
    /// A counter has no values left.
    case exhausted

    /// Short and stable, for counters.
    package var reason: String {
        switch self {
        case .truncated: "truncated"
        case .badMagic: "badMagic"
        case .unsupportedVersion: "unsupportedVersion"
        case .badValue: "badValue"
        case .unknownKey: "unknownKey"
        case .unknownSession: "unknownSession"
        case .doesNotOpen: "doesNotOpen"
        case .replayed: "replayed"
        case .tooOld: "tooOld"
        case .closingKey: "closingKey"
        case .repeated: "repeated"
        case .outOfOrder: "outOfOrder"
        case .tooLong: "tooLong"
        case .removedDevice: "removedDevice"
        case .otherSender: "otherSender"
        case .otherTarget: "otherTarget"
        case .exhausted: "exhausted"
        }
    }
}
