package import EventLoop
package import Primitives
import SWIM
import Wire

/// A stream that a member was asked to open, because it cannot be dialled itself.
struct AwaitedDial {
    let member: NodeID
    let onStream: @Sendable (any StreamConnection) -> @Sendable (StreamEvent) -> Void
    let onFailure: @Sendable () -> Void
    var timer: LoopTimer?
}

// Behind a firewall or a router of its own a member dials, but cannot be dialled: it is asked to,
// over the idle stream that it keeps to this agent (Protocols/services.md).
extension Membership {
    /// How many streams a member opens at a time because it was asked to.
    static let dialBackLimit = 32
    static let dialBackTimeout: Duration = .seconds(5)

    /// Whether streams to a member are better opened by the member: dialling it fails, and it has
    /// dialled this agent.
    package func isBetterDialledBack(_ member: NodeID) -> Bool {
        guard let reach = reach(of: member), case .failed = reach.dial else { return false }
        return reach.dialledBy != nil && idleStream(with: member) != nil
    }

    func failedToDial(_ member: NodeID, _ closure: StreamClosure) {
        note(member) { $0.dial = .failed(closure, world.loop.now) }
    }

    /// Asks a member to open a stream, on which this agent then speaks as if it had dialled.
    ///
    /// - Parameters:
    ///   - onStream: takes the stream, and returns what hears of it.
    ///   - onFailure: the member did not dial in time, or cannot be asked.
    package func dialBack(
        _ member: NodeID,
        onStream: @escaping @Sendable (any StreamConnection) -> @Sendable (StreamEvent) -> Void,
        onFailure: @escaping @Sendable () -> Void
    ) {
        guard let idle = idleStream(with: member), let connection = streams[idle]?.connection
        else { return world.loop.execute { onFailure() } }
        nextDialBack += 1
        let number = nextDialBack
        let timer = world.loop.schedule(after: Self.dialBackTimeout) { [self] in
            assumeIsolated { $0.awaited.removeValue(forKey: number)?.onFailure() }
        }
        awaited[number] = AwaitedDial(
            member: member,
            onStream: onStream,
            onFailure: onFailure,
            timer: timer
        )
        connection.send(Frame.dialBack(number: number).encoded)
    }

    private func idleStream(with member: NodeID) -> UInt64? {
        watches.first { $0.member == member }?.standing.last { streams[$0]?.isStanding == true }
    }

    /// Somebody who cannot dial this agent asks to be dialled.
    func dial(_ member: NodeID, because number: UInt64) {
        let count = streams.values.count { open in
            if case .dialBack(_, member) = open.purpose { true } else { false }
        }
        guard isPresent(member), count < Self.dialBackLimit,
            let endpoint = machine.others.endpoint(of: member)
        else { return }
        open(.dialBack(number: number, member), to: endpoint)
    }

    /// A member has dialled, as it says because it was asked to; false if it was not.
    func takeDialled(_ number: UInt64, _ stream: UInt64) -> Bool {
        guard let open = streams[stream], let connection = open.connection,
            let asked = awaited[number], open.reader.header?.sender == asked.member,
            open.reader.unreadByteCount == 0
        else { return false }
        awaited[number] = nil
        if let timer = asked.timer { world.loop.cancel(timer) }
        streams[stream] = nil
        handedOver[stream] = asked.onStream(connection)
        return true
    }
}
