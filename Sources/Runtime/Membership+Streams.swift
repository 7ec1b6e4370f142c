package import EventLoop
package import Primitives
import SWIM
package import Wire

/// Opens streams to the agent's own local servers, for members that may have them.
package protocol ServiceDoor: AnyObject, Sendable {
    /// Where the service listens, or why the caller does not get it.
    func endpoint(
        of service: Service,
        for member: NodeID,
        ballot: Ballot?
    ) -> Result<Endpoint, ServiceRefusal>
}

package struct ServiceRefusal: Error, Equatable, Sendable {
    package var reason: String

    package init(_ reason: String) {
        self.reason = reason
    }
}

/// A stream between agents, while it carries frames.
struct OpenStream {
    enum Purpose {
        /// The other side asks.
        case inbound
        case sync
        case ping(number: UInt32, target: NodeID)
        /// To see whether one can be opened.
        case trial(NodeID)
        /// Stays idle, so that the end of the other process is heard.
        case watch(NodeID)
        /// The other side asked for it, and asks on it.
        case dialBack(number: UInt64, NodeID)
    }

    let purpose: Purpose
    var connection: (any StreamConnection)?
    var reader: FrameReader
    let openedAt: Instant
    /// The other side keeps it, too.
    var isStanding = false
    /// What the other side offers for the service that it is about to ask for.
    var features = ServiceFeatures(rawValue: 0)
}

// Streams: comparing notes, probing where datagrams get lost, and doors to local servers.
extension Membership {
    static let connectTimeout: Duration = .seconds(3)
    /// How long a stream may take to say what it wants, or to answer.
    static let frameTimeout: Duration = .seconds(10)

    /// Takes a stream that somebody opened to this agent; what happens on it goes to the result.
    package nonisolated func accept(
        _ connection: any StreamConnection
    ) -> @Sendable (StreamEvent) -> Void {
        let stream = assumeIsolated { $0.add(.inbound, connection) }
        return { [self] event in assumeIsolated { $0.happened(event, on: stream) } }
    }

    @discardableResult
    func open(_ purpose: OpenStream.Purpose, to endpoint: Endpoint) -> UInt64 {
        let stream = add(purpose, nil)
        let connection = world.streams.connect(to: endpoint, timeout: Self.connectTimeout) {
            [self] event in assumeIsolated { $0.happened(event, on: stream) }
        }
        // A transport may close at once; then there is nothing to keep.
        streams[stream]?.connection = connection
        return stream
    }

    private func add(
        _ purpose: OpenStream.Purpose,
        _ connection: (any StreamConnection)?
    ) -> UInt64 {
        nextStream += 1
        let stream = nextStream
        streams[stream] = OpenStream(
            purpose: purpose,
            connection: connection,
            reader: FrameReader(facts: world.facts),
            openedAt: world.loop.now
        )
        world.loop.schedule(after: Self.connectTimeout + Self.frameTimeout) { [self] in
            assumeIsolated { $0.expire(stream) }
        }
        return stream
    }

    private func expire(_ stream: UInt64) {
        guard let open = streams[stream], !open.isStanding else { return }
        end(stream)
        switch open.purpose {
        case .watch(let target): failedToWatch(target, stream, nil)
        case .ping(_, let target): failedToPing(target, .timedOut)
        case .trial(let target): failedTrial(of: target, .timedOut)
        case .inbound, .sync, .dialBack: break
        }
    }

    /// Ends a stream without a word about it.
    func end(_ stream: UInt64) {
        streams.removeValue(forKey: stream)?.connection?.close()
    }

    /// Ends a stream whose other side makes no sense, as if it had ended by itself.
    private func abandon(_ stream: UInt64) {
        guard let open = streams.removeValue(forKey: stream) else { return }
        open.connection?.close()
        closed(open, stream, .reset)
    }

    private func happened(_ event: StreamEvent, on stream: UInt64) {
        if let taker = handedOver[stream] {
            if case .closed = event { handedOver[stream] = nil }
            taker(event)
            return
        }
        switch event {
        case .opened: opened(stream)
        case .received(let bytes): received(bytes, on: stream)
        case .closed(let closure):
            if let open = streams.removeValue(forKey: stream) { closed(open, stream, closure) }
        }
    }

    /// The other side or the network ended a stream that had not done its work.
    private func closed(_ open: OpenStream, _ stream: UInt64, _ closure: StreamClosure) {
        switch open.purpose {
        case .watch(let target):
            if open.isStanding {
                watchEnded(target, stream)
            } else {
                failedToWatch(target, stream, closure)
            }
        case .ping(let number, let target):
            failedToPing(target, closure)
            if closure == .refused { handle(.streamRefused(number: number)) }
        case .trial(let target): failedTrial(of: target, closure)
        case .inbound where open.isStanding:
            if let sender = open.reader.header?.sender { watchEnded(sender, stream) }
        case .dialBack(_, let target) where open.reader.header == nil:
            failedToDial(target, closure)
        case .inbound, .sync, .dialBack: break
        }
    }

    private var header: [UInt8] {
        var bytes: [UInt8] = []
        WireHeader(cluster: cluster, sender: machine.own.id).encode(into: &bytes)
        return bytes
    }

    private func opened(_ stream: UInt64) {
        guard let open = streams[stream] else { return }
        switch open.purpose {
        case .inbound: break
        case .sync:
            whenDurable { [self] in
                guard let connection = streams[stream]?.connection else { return }
                connection.send(header + Frame.syncRequest(machine.fullState).encoded)
            }
        case .ping(let number, let target):
            open.connection?.send(header + Frame.ping(number: number, target: target).encoded)
            handle(.streamOpened(number: number))
        case .trial(let target):
            open.connection?.send(header + Frame.ping(number: 0, target: target).encoded)
        case .watch(let target):
            open.connection?.send(header + Frame.watch(target: target).encoded)
        case .dialBack(let number, _):
            open.connection?.send(header + Frame.dialledBack(number: number).encoded)
        }
    }

    private func received(_ bytes: [UInt8], on stream: UInt64) {
        streams[stream]?.reader.append(bytes)
        while let peer = streams[stream]?.connection?.peer {
            do throws(WireError) {
                guard let frame = try streams[stream]?.reader.next(cluster: cluster) else {
                    return
                }
                noteReach(of: stream)
                answer(frame, on: stream)
            } catch {
                world.observer.refused("stream.\(error.reason)", detail: "from \(peer): \(error)")
                abandon(stream)
            }
        }
    }

    private func answer(_ frame: Frame, on stream: UInt64) {
        guard let open = streams[stream], let connection = open.connection else { return }
        switch (open.purpose, frame) {
        case (.inbound, .syncRequest(let updates)):
            handle(.synced(updates))
            whenDurable { [self] in
                connection.send(header + Frame.syncReply(machine.fullState).encoded)
                end(stream)
            }
        case (.inbound, .ping(let number, let target)):
            if target == machine.own.id {
                connection.send(header + Frame.ack(number: number).encoded)
            }
            end(stream)
        case (.inbound, .serviceFeatures(let features)),
            (.dialBack, .serviceFeatures(let features)):
            streams[stream]?.features = features
        case (.inbound, .openService(let service, let ballot)),
            (.dialBack, .openService(let service, let ballot)):
            openService(service, ballot, on: stream, connection)
        case (.sync, .syncReply(let updates)):
            end(stream)
            handle(.synced(updates))
        case (.ping(let number, let target), .ack(let answered)) where number == answered:
            end(stream)
            // The datagram that asked the same was not answered in time.
            note(target) { $0.datagrams.failed(at: world.loop.now) }
            handle(.streamAnswered(number: number))
        case (.trial, .ack(0)): end(stream)
        case (.inbound, .watch(let target)):
            guard target == machine.own.id, let sender = open.reader.header?.sender,
                startsWatching(sender, stream)
            else { return end(stream) }
            streams[stream]?.isStanding = true
            connection.expectSilence()
            connection.send(header + Frame.watching.encoded)
        case (.watch(let target), .watching) where !open.isStanding:
            guard open.reader.header?.sender == target, startsWatching(target, stream) else {
                return end(stream)
            }
            streams[stream]?.isStanding = true
            connection.expectSilence()
        case (.inbound, .dialBack(let number)) where open.isStanding,
            (.watch, .dialBack(let number)) where open.isStanding:
            if let sender = open.reader.header?.sender { dial(sender, because: number) }
        case (.inbound, .dialledBack(let number)):
            if !takeDialled(number, stream) { refuseFrame(on: stream, connection) }
        case (.inbound, _), (.sync, _), (.ping, _), (.trial, _), (.watch, _), (.dialBack, _):
            refuseFrame(on: stream, connection)
        }
    }

    private func refuseFrame(on stream: UInt64, _ connection: any StreamConnection) {
        world.observer.refused("stream.unexpectedFrame", detail: "from \(connection.peer)")
        abandon(stream)
    }

    /// A frame came: whoever dialled, the other was reached.
    private func noteReach(of stream: UInt64) {
        guard let open = streams[stream], let sender = open.reader.header?.sender else { return }
        let now = world.loop.now
        note(sender) { reach in
            switch open.purpose {
            case .inbound: reach.dialledBy = now
            case .sync, .ping, .trial, .watch, .dialBack: reach.dial = .stood(now)
            }
        }
    }

    private func openService(
        _ service: Service,
        _ ballot: Ballot?,
        on stream: UInt64,
        _ connection: any StreamConnection
    ) {
        let sender = streams[stream]?.reader.header?.sender
        let member = sender.flatMap { machine.member($0) }
        let answer: Result<Endpoint, ServiceRefusal>
        if let member, member.state.isPresent {
            answer =
                services?.endpoint(of: service, for: member.id, ballot: ballot)
                ?? .failure(ServiceRefusal("not ready"))
        } else {
            answer = .failure(ServiceRefusal("not a member of this cluster"))
        }
        switch answer {
        case .success(let endpoint):
            let rest = streams[stream]?.reader.takeRest() ?? []
            let offered = streams.removeValue(forKey: stream)?.features ?? []
            let features =
                service == .rpcServer ? offered.intersection(world.streams.spliceFeatures) : []
            let agreement = features.isEmpty ? [] : Frame.serviceFeatures(features).encoded
            connection.send(header + agreement + Frame.serviceOpened.encoded)
            world.streams.splice(
                connection,
                first: rest,
                to: endpoint,
                under: ballot,
                with: features
            )
        case .failure(let refusal):
            connection.send(header + Frame.serviceRefused(reason: refusal.reason).encoded)
            end(stream)
        }
    }
}
