import EventLoop
import Foundation
import Primitives
@testable import Sockets
import Testing

/// A transport with a relay that is stopped afterwards.
func withTransport(
    _ mechanism: PollMechanism = .best,
    source: IPAddress? = nil,
    _ body: (PollLoop, SocketStreamTransport) async throws -> Void
) async throws {
    let relay = Relay(mechanism: mechanism)
    defer { relay.stop() }
    try await withLoop(mechanism) { loop in
        try await body(loop, SocketStreamTransport(on: loop, source: source, relay: relay))
    }
}

extension SocketStreamTransport {
    /// Connects from a test's thread.
    func connect(
        to destination: Endpoint,
        timeout: Duration = .seconds(20),
        on loop: PollLoop,
        _ recorder: StreamRecorder
    ) -> any StreamConnection {
        loop.executeAndWait {
            self.connect(to: destination, timeout: timeout) { event in
                recorder.note(event)
                if !loop.isCurrent { Issue.record("an event elsewhere than on the loop") }
            }
        }
    }
}

extension SocketsTests {
    @Suite struct SocketStreamTests {
        @Test(arguments: PollMechanism.allCases)
        func `bytes pass both ways and the end is told once`(
            mechanism: PollMechanism
        ) async throws {
            try await withTransport(mechanism) { loop, transport in
                let server = try Server()
                let events = StreamRecorder()
                let stream = transport.connect(to: server.endpoint, on: loop, events)
                // Queued before the connection stands.
                loop.execute { stream.send([1, 2, 3]) }
                let peer = try server.accept()
                #expect(peer.read() == [1, 2, 3])
                try await eventually { events.isOpened }
                let bytes = randomBytes(300_000, seed: 1)
                #expect(await onThread { peer.write(bytes) })
                try await eventually { events.bytes.count == bytes.count }
                #expect(events.bytes == bytes)
                #expect(events.closure == nil)
                // A peer that shuts its side has ended the stream.
                peer.endWriting()
                try await eventually { events.closure != nil }
                loop.executeAndWait { stream.send([4]) }
                loop.executeAndWait { stream.close() }
                loop.executeAndWait {}
                #expect(events.now.closures == [.ended])
                #expect(events.now.eventsAfterEnd == 0)
            }
        }

        @Test func `what is sent in one turn, and the end, arrives in one piece`() async throws {
            try await withTransport { loop, transport in
                let server = try Server()
                for _ in 0..<20 {
                    let events = StreamRecorder()
                    let stream = transport.connect(to: server.endpoint, on: loop, events)
                    let peer = try server.accept()
                    try await eventually { events.isOpened }
                    // The reader waits already, and would see a first piece alone.
                    let read = Task { await onThread { [peer.read(), peer.read()] } }
                    try await Task.sleep(for: .milliseconds(5))
                    loop.executeAndWait {
                        for piece in 1...5 as ClosedRange<UInt8> { stream.send([piece, piece]) }
                        stream.close()
                    }
                    #expect(await read.value == [[1, 1, 2, 2, 3, 3, 4, 4, 5, 5], []])
                    peer.close()
                }
            }
        }

        @Test func `nobody listening is a refusal`() async throws {
            try await withTransport { loop, transport in
                let server = try Server()
                server.close()
                let events = StreamRecorder()
                _ = transport.connect(to: server.endpoint, on: loop, events)
                try await eventually { events.closure != nil }
                #expect(events.now.closures == [.refused])
                #expect(!events.isOpened)
            }
        }

        @Test func `a loopback address cannot reach the world outside`() async throws {
            try await withTransport(source: .v4(0x7F00_0002)) { loop, transport in
                // The kernel refuses this before anything is sent (TEST-NET-3).
                let events = StreamRecorder()
                let outside = Endpoint(address: .v4(0xCB00_7101), port: 9)
                _ = transport.connect(to: outside, timeout: .seconds(1), on: loop, events)
                try await eventually { events.closure != nil }
                #expect(events.now.closures == [.unreachable])
            }
        }

        @Test(arguments: PollMechanism.allCases)
        func `a connection that does not come to stand times out`(
            mechanism: PollMechanism
        ) async throws {
            try await withTransport(mechanism) { loop, transport in
                // Nobody accepts, and what may wait is full: further attempts hear nothing.
                let server = try Server(backlog: 0)
                let waiting = (0..<4).map { _ in StreamRecorder() }
                let streams = waiting.map {
                    transport.connect(
                        to: server.endpoint,
                        timeout: .seconds(60),
                        on: loop,
                        $0
                    )
                }
                let events = StreamRecorder()
                _ = transport.connect(
                    to: server.endpoint,
                    timeout: .milliseconds(100),
                    on: loop,
                    events
                )
                try await eventually { events.closure != nil }
                #expect(events.now.closures == [.timedOut])
                #expect(!events.isOpened)
                loop.executeAndWait { for stream in streams { stream.close() } }
                server.close()
            }
        }

        @Test func `a stream comes from the address that was chosen`() async throws {
            try await withTransport(source: .v4(0x7F00_0009)) { loop, transport in
                let addresses = Recorder<Endpoint>()
                let listener = try StreamListener(on: loop, at: .loopback(2))
                try await listener.start { stream in
                    addresses.append(stream.peer)
                    return { _ in stream.close() }
                }
                let events = StreamRecorder()
                let stream = transport.connect(to: listener.local, on: loop, events)
                try await eventually { addresses.count == 1 }
                #expect(addresses.all.first?.address == .v4(0x7F00_0009))
                loop.executeAndWait { stream.close() }
                try await eventually { events.closure == .closedHere }
                await listener.close()
            }
        }

        @Test func `a peer that does not read makes the stream overflow`() async throws {
            try await withTransport { loop, transport in
                let server = try Server()
                let events = StreamRecorder()
                let stream = transport.connect(to: server.endpoint, on: loop, events)
                let peer = try server.accept()
                let chunk = randomBytes(100_000, seed: 3)
                for _ in 0..<1000 where events.closure == nil {
                    loop.executeAndWait { stream.send(chunk) }
                }
                try await eventually { events.closure != nil }
                guard case .overflow(let byteCount) = events.closure else {
                    Issue.record("ended by \(String(describing: events.closure))")
                    return
                }
                #expect(byteCount > StreamLimits.outboundByteLimit)
                #expect(byteCount <= StreamLimits.outboundByteLimit + chunk.count)
                #expect(events.now.closures.count == 1)
                peer.close()
            }
        }

        @Test(arguments: PollMechanism.allCases)
        func `closing sends what is queued first`(mechanism: PollMechanism) async throws {
            try await withTransport(mechanism) { loop, transport in
                let server = try Server()
                let events = StreamRecorder()
                let stream = transport.connect(to: server.endpoint, on: loop, events)
                let peer = try server.accept()
                let bytes = randomBytes(1_000_000, seed: 4)
                // What the peer sent and nobody reads must not destroy what is still under way.
                #expect(peer.write([9, 9, 9]))
                loop.executeAndWait {
                    stream.send(bytes)
                    stream.close()
                    stream.send([0])
                }
                #expect(await onThread { peer.readAll() } == bytes)
                try await eventually { events.closure != nil }
                #expect(events.now.closures == [.closedHere])
                peer.close()
            }
        }

        @Test func `closing before the connection stands still sends what is queued`() async throws
        {
            try await withTransport { loop, transport in
                let server = try Server()
                let events = StreamRecorder()
                loop.executeAndWait {
                    let stream = transport.connect(
                        to: server.endpoint,
                        timeout: .seconds(20)
                    ) { events.note($0) }
                    stream.send([1, 2])
                    stream.close()
                }
                let peer = try server.accept()
                #expect(await onThread { peer.readAll() } == [1, 2])
                peer.close()
                try await eventually { events.closure != nil }
                #expect(events.now.closures == [.closedHere])
                #expect(!events.isOpened)
            }
        }

        @Test func `a peer that dies is a reset, after what it said last`() async throws {
            try await withTransport { loop, transport in
                let server = try Server()
                let events = StreamRecorder()
                let stream = transport.connect(to: server.endpoint, on: loop, events)
                let peer = try server.accept()
                #expect(peer.write([7]))
                try await eventually { events.bytes == [7] }
                // A linger of zero makes the close a reset, as the death with unread bytes does.
                var linger = linger(l_onoff: 1, l_linger: 0)
                let size = socklen_t(MemoryLayout<linger>.size)
                unsafe setsockopt(peer.descriptor, SOL_SOCKET, SO_LINGER, &linger, size)
                peer.close()
                try await eventually { events.closure != nil }
                #expect(events.now.closures == [.reset])
                withExtendedLifetime(stream) {}
            }
        }

        @Test func `a detached stream lives on elsewhere`() async throws {
            try await withTransport { loop, transport in
                let server = try Server()
                let events = StreamRecorder()
                let stream = transport.connect(to: server.endpoint, on: loop, events)
                let peer = try server.accept()
                try await eventually { events.isOpened }
                let concrete = try #require(stream as? SocketStream)
                let detached = try #require(loop.executeAndWait { concrete.detach() })
                try await eventually { events.closure != nil }
                #expect(events.now.closures == [.closedHere])
                #expect(loop.executeAndWait { concrete.detach()?.descriptor } == nil)
                let other = Peer(detached.descriptor)
                #expect(other.write([5]))
                #expect(peer.read() == [5])
                #expect(peer.write([6]))
                #expect(other.read() == [6])
            }
        }

        @Test func `closing an idle stream is quick when the peer answers`() async {
            // In a process of its own: others open descriptors too.
            await #expect(processExitsWith: .success) {
                try await Self.closeIdleStream()
            }
        }

        private static func closeIdleStream() async throws {
            try await withTransport { loop, transport in
                let before = try openDescriptorCount()
                for _ in 0..<20 {
                    let server = try Server()
                    let events = StreamRecorder()
                    let stream = transport.connect(to: server.endpoint, on: loop, events)
                    let peer = try server.accept()
                    try await eventually { events.isOpened }
                    loop.executeAndWait { stream.close() }
                    #expect(peer.readAll() == [])
                    peer.close()
                    server.close()
                    try await eventually { events.now.closures == [.closedHere] }
                }
                // A leak would be of twenty; the runtime opens a few for itself meanwhile.
                try await eventually { ((try? openDescriptorCount()) ?? .max) <= before + 8 }
            }
        }
    }
}
