@testable import Agent
import EventLoop
import Foundation
import Gateway
import Primitives
import Sockets
import Synchronization
import Testing
import Wire

/// Openings over streams that were dialled before they were needed.
@Suite struct ServiceClientTests {
    private static let member = NodeID(2)
    private static let endpoint = Endpoint(address: .loopback, port: 7)

    /// A stream that does what the test says; used on the loop only.
    private final class FakeStream: StreamConnection, @unchecked Sendable {
        let peer = ServiceClientTests.endpoint
        let tell: @Sendable (StreamEvent) -> Void
        var sent: [UInt8] = []

        init(_ tell: @escaping @Sendable (StreamEvent) -> Void) {
            self.tell = tell
        }

        func send(_ bytes: [UInt8]) { sent += bytes }
        func close() {}
        func expectSilence() {}
    }

    private final class FakeTransport: StreamTransport, @unchecked Sendable {
        var streams: [FakeStream] = []

        func connect(
            to destination: Endpoint,
            timeout: Duration,
            onEvent: @escaping @Sendable (StreamEvent) -> Void
        ) -> any StreamConnection {
            let stream = FakeStream(onEvent)
            streams.append(stream)
            return stream
        }

        func splice(
            _ connection: any StreamConnection,
            first: [UInt8],
            to local: Endpoint,
            under ballot: Ballot?,
            with features: ServiceFeatures
        ) {}

        func endSplices(before ballot: Ballot) {}
        func endSplices(with member: NodeID) {}
    }

    /// One agent that opens services, and what became of it.
    private final class Bench: Sendable {
        let loop: PollLoop
        let transport = FakeTransport()
        let client: ServiceClient
        let outcome = Mutex<Result<Void, GatewayRefusal>?>(nil)

        init() throws {
            loop = try PollLoop(name: "test-loop")
            client = ServiceClient(
                loop: loop,
                agents: transport,
                servers: transport,
                relay: Relay(),
                header: WireHeader(cluster: 1, sender: NodeID(1))
            )
        }

        func end() {
            loop.stop()
            loop.waitUntilStopped()
        }

        /// Does these one after the other on the loop, which does what follows from each in between;
        /// returns when all is done.
        func act(_ steps: (@Sendable () -> Void)...) async {
            await withCheckedContinuation { continuation in
                go(steps[...]) { continuation.resume() }
            }
        }

        private func go(
            _ steps: ArraySlice<@Sendable () -> Void>,
            then done: @escaping @Sendable () -> Void
        ) {
            loop.execute { [self] in
                guard let step = steps.first else { return done() }
                step()
                loop.execute { [self] in
                    loop.execute { [self] in go(steps.dropFirst(), then: done) }
                }
            }
        }

        @Sendable func dialAhead() {
            client.assumeIsolated { $0.dialAhead(1, to: member, at: endpoint) }
        }

        @Sendable func open() {
            client.hold(
                .gateway,
                ballot: nil,
                of: member,
                at: endpoint,
                saying: ServiceClientTests.question
            ) { [self] result in outcome.withLock { $0 = result.map { _ in } } }
        }

        /// What happens on the stream that was dialled as the n-th.
        func tell(_ event: StreamEvent, on index: Int) -> @Sendable () -> Void {
            { [transport] in
                guard index < transport.streams.count else { return }
                transport.streams[index].tell(event)
            }
        }

        /// The member opens the service.
        func answer(on index: Int) -> @Sendable () -> Void {
            var bytes: [UInt8] = []
            WireHeader(cluster: 1, sender: member).encode(into: &bytes)
            return tell(.received(bytes + Frame.serviceOpened.encoded), on: index)
        }

        var isOpen: Bool? {
            outcome.withLock { outcome in
                outcome.map { if case .success = $0 { true } else { false } }
            }
        }

        /// What was sent on each stream.
        var sent: [[UInt8]] { transport.streams.map(\.sent) }
    }

    private static let question: [UInt8] = [1, 2, 3]

    /// Asks for the service, and what it is asked.
    private static let asked: [UInt8] = {
        var bytes: [UInt8] = []
        WireHeader(cluster: 1, sender: NodeID(1)).encode(into: &bytes)
        return bytes + Frame.openService(.gateway, ballot: nil).encoded + question
    }()

    private func withBench(_ body: (Bench) async throws -> Void) async throws {
        let bench = try Bench()
        defer { bench.end() }
        try await body(bench)
    }

    @Test func `a stream that was dialled ahead is used`() async throws {
        try await withBench { bench in
            await bench.act(
                bench.dialAhead,
                bench.tell(.opened, on: 0),
                bench.open,
                bench.answer(on: 0)
            )
            #expect(bench.sent == [Self.asked])
            #expect(bench.isOpen == true)
        }
    }

    @Test(arguments: [StreamClosure.ended, .reset, .failed(errno: 110)])
    func `one that was dead by then is dialled anew, once`(closure: StreamClosure) async throws {
        try await withBench { bench in
            await bench.act(
                bench.dialAhead,
                bench.tell(.opened, on: 0),
                bench.open,
                bench.tell(.closed(closure), on: 0),
                bench.tell(.opened, on: 1),
                bench.answer(on: 1)
            )
            #expect(bench.sent == [Self.asked, Self.asked])
            #expect(bench.isOpen == true)
        }
    }

    @Test func `the new one is not dialled anew when it breaks`() async throws {
        try await withBench { bench in
            await bench.act(
                bench.dialAhead,
                bench.tell(.opened, on: 0),
                bench.open,
                bench.tell(.closed(.reset), on: 0),
                bench.tell(.opened, on: 1),
                bench.tell(.closed(.reset), on: 1)
            )
            #expect(bench.sent == [Self.asked, Self.asked])
            #expect(bench.isOpen == false)
        }
    }

    @Test func `one that ends in the moment in which it is taken is dialled anew`() async throws {
        try await withBench { bench in
            let end = bench.tell(.closed(.reset), on: 0)
            await bench.act(
                bench.dialAhead,
                bench.tell(.opened, on: 0),
                {
                    bench.open()
                    end()
                },
                bench.tell(.opened, on: 1),
                bench.answer(on: 1)
            )
            #expect(bench.sent == [[], Self.asked])
            #expect(bench.isOpen == true)
        }
    }

    @Test func `one over which something came is not dialled anew`() async throws {
        try await withBench { bench in
            await bench.act(
                bench.dialAhead,
                bench.tell(.opened, on: 0),
                bench.open,
                bench.tell(.received([0xCA]), on: 0),
                bench.tell(.closed(.reset), on: 0)
            )
            #expect(bench.sent == [Self.asked])
            #expect(bench.isOpen == false)
        }
    }

    @Test func `a stream that was dialled for the opening is not dialled anew`() async throws {
        try await withBench { bench in
            await bench.act(
                bench.open,
                bench.tell(.opened, on: 0),
                bench.tell(.closed(.reset), on: 0)
            )
            #expect(bench.sent == [Self.asked])
            #expect(bench.isOpen == false)
        }
    }
}
