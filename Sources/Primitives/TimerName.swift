/// The name of a machine's timer.
///
/// Most timers of a machine are one of a kind, and are set with almost every message: whoever keeps
/// account of them finds those without hashing.
public protocol TimerName: Hashable, Sendable {
    /// How many timers there are of which there is one each.
    static var slotCount: Int { get }

    /// Which of them it is, from 0; nil if there may be many of its kind.
    var slot: Int? { get }
}
