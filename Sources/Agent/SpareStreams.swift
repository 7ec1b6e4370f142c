import EventLoop
import Primitives

/// Streams to members that were dialled before anybody needs them: that takes turn-arounds, and
/// the first thing to be said can be said at once then.
///
/// Used on the loop only.
struct SpareStreams {
    private var spares: [Spare] = []

    static let limit = 64

    final class Spare: @unchecked Sendable {
        let node: NodeID
        let endpoint: Endpoint
        fileprivate(set) var connection: (any StreamConnection)?
        private var hasOpened = false
        private var onEvent: (@Sendable (StreamEvent) -> Void)?

        fileprivate init(_ node: NodeID, _ endpoint: Endpoint) {
            self.node = node
            self.endpoint = endpoint
        }

        func handle(_ event: StreamEvent) {
            if let onEvent { return onEvent(event) }
            if case .opened = event { hasOpened = true }
        }

        /// From now on somebody hears what happens; says whether it stands already.
        func use(_ onEvent: @escaping @Sendable (StreamEvent) -> Void) -> Bool {
            self.onEvent = onEvent
            return hasOpened
        }
    }

    /// Begins another one; nil if there are enough.
    mutating func add(
        _ count: Int,
        to node: NodeID,
        at endpoint: Endpoint
    ) -> Spare? {
        let known = spares.count { $0.node == node && $0.endpoint == endpoint }
        guard known < count, spares.count < Self.limit else { return nil }
        let spare = Spare(node, endpoint)
        spares.append(spare)
        return spare
    }

    func dials(_ spare: Spare, _ connection: any StreamConnection) {
        spare.connection = connection
    }

    /// The one that has waited longest.
    mutating func take(to node: NodeID, at endpoint: Endpoint) -> Spare? {
        guard let place = spares.firstIndex(where: { $0.node == node && $0.endpoint == endpoint })
        else { return nil }
        return spares.remove(at: place)
    }

    /// Whether it was among these until now.
    mutating func remove(_ spare: Spare) -> Bool {
        guard let place = spares.firstIndex(where: { $0 === spare }) else { return false }
        spares.remove(at: place)
        return true
    }
}
