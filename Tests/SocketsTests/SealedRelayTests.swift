import EventLoop
import Foundation
import Primitives
import SecureChannel
@testable import Sockets
import Testing

extension SocketsTests {
    /// Two relays with a sealed stream between them, as on two devices.
    @Suite struct SealedRelayTests {
        private static func detached(_ peer: Peer) -> DetachedStream {
            let copy = dup(peer.descriptor)
            _ = fcntl(copy, F_SETFL, fcntl(copy, F_GETFL) | O_NONBLOCK)
            return DetachedStream(descriptor: copy, peer: .loopback())
        }

        private struct Chain {
            let near = Relay(name: "near")
            let far = Relay(name: "far")
            let outside: Peer
            let inside: Peer
            /// The sealed stream between the relays, as somebody on the way has it.
            let middle: Peer
            let results = Recorder<RelayResult>()

            init(_ suite: NoiseSuite, tag: RelayTag = RelayTag()) throws {
                let (nearRecords, farRecords) = try RecordLayer.pair(suite)
                let server = try Server()
                let client = try DetachedStream.pair()
                let wire = try Server()
                let nearEnd = try Peer.connected(to: wire.endpoint)
                middle = try wire.accept()
                outside = Peer(client.1.descriptor)
                near.join(
                    client.0,
                    first: [9],
                    SealedRelayTests.detached(nearEnd),
                    options: RelayOptions(secondRecords: nearRecords, tag: tag)
                ) { [results] in results.append($0) }
                far.splice(
                    SealedRelayTests.detached(middle),
                    to: server.endpoint,
                    options: RelayOptions(firstRecords: farRecords)
                ) { [results] in results.append($0) }
                inside = try server.accept()
            }

            func stop() {
                near.stop()
                far.stop()
            }
        }

        @Test(arguments: NoiseSuite.allCases)
        func `ten megabytes pass both ways at once, sealed, and ends are passed on`(
            suite: NoiseSuite
        ) async throws {
            let chain = try Chain(suite)
            let (outside, inside) = (chain.outside, chain.inside)
            let up = randomBytes(10_000_000, seed: 1)
            let down = randomBytes(10_000_000, seed: 2)
            async let upSent = onThread {
                defer { outside.endWriting() }
                return outside.write(up)
            }
            async let downSent = onThread {
                defer { inside.endWriting() }
                return inside.write(down)
            }
            async let upReceived = onThread { inside.readAll() }
            async let downReceived = onThread { outside.readAll() }
            #expect(await upSent)
            #expect(await downSent)
            #expect(await upReceived == [9] + up)
            #expect(await downReceived == down)
            try await eventually { chain.results.count == 2 }
            #expect(chain.results.all.allSatisfy { $0.ending == .ended })
            chain.stop()
        }

        @Test func `pairs of a master that was left behind are ended, others are not`()
            async throws
        {
            let old = Ballot(term: 3, node: NodeID(1))
            let chain = try Chain(.chaChaPoly, tag: RelayTag(ballot: old))
            #expect(chain.inside.read() == [9])
            let loop = try PollLoop(name: "test-loop")
            let transport = SocketStreamTransport(on: loop, relay: chain.near)
            // The same master under a higher ballot goes on, and so does a lower one's news.
            transport.endSplices(before: Ballot(term: 4, node: NodeID(1)))
            transport.endSplices(before: Ballot(term: 2, node: NodeID(2)))
            #expect(chain.outside.write([1]))
            #expect(chain.inside.read() == [1])
            transport.endSplices(before: Ballot(term: 4, node: NodeID(2)))
            // Cut off, and not ended in order.
            let rest = await onThread { [inside = chain.inside] in inside.readAll() }
            #expect(rest?.isEmpty ?? true)
            try await eventually { chain.results.count == 2 }
            chain.stop()
            loop.stop()
        }
    }
}
