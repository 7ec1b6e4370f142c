import EventLoop
import Foundation
import Primitives
@testable import Sockets
import Synchronization
import Testing

extension SocketsTests {
    @Suite struct RelayTests {
        /// A stream from outside: our end of it, and what the other end is for the relay.
        private static func outsideStream() throws -> (peer: Peer, detached: DetachedStream) {
            let server = try Server()
            let peer = try Peer.connected(to: server.endpoint)
            let accepted = try server.accept()
            let copy = dup(accepted.descriptor)
            _ = fcntl(copy, F_SETFL, fcntl(copy, F_GETFL) | O_NONBLOCK)
            return (peer, DetachedStream(descriptor: copy, peer: server.endpoint))
        }

        @Test(arguments: PollMechanism.allCases)
        func `ten megabytes pass both ways at once, to a slow reader too`(
            mechanism: PollMechanism
        ) async throws {
            let relay = Relay(mechanism: mechanism)
            let server = try Server()
            let (outside, detached) = try Self.outsideStream()
            let results = Recorder<RelayResult>()
            let up = randomBytes(10_000_000, seed: 1)
            let down = randomBytes(10_000_000, seed: 2)
            relay.splice(detached, first: Array(up[..<1000]), to: server.endpoint) {
                results.append($0)
            }
            let inside = try server.accept()
            async let upSent = onThread {
                defer { outside.endWriting() }
                return outside.write(Array(up[1000...]))
            }
            async let downSent = onThread {
                defer { inside.endWriting() }
                return inside.write(down)
            }
            async let upReceived = onThread { slowlyReadAll(inside) }
            async let downReceived = onThread { outside.readAll() }
            #expect(await upSent)
            #expect(await downSent)
            #expect(await upReceived == up)
            #expect(await downReceived == down)
            try await eventually { results.count == 1 }
            let expected = RelayResult(
                ending: .ended,
                bytesFromFirst: 10_000_000,
                bytesToFirst: 10_000_000
            )
            #expect(results.all == [expected])
            #expect(relay.counts.bytesFromFirst == 10_000_000)
            #expect(relay.counts.bytesToFirst == 10_000_000)
            #expect(relay.counts.activePairs == 0)
            #expect(relay.counts.failedPairs == 0)
            relay.stop()
        }

        private func slowlyReadAll(_ peer: Peer) -> [UInt8]? {
            var all: [UInt8] = []
            while let bytes = peer.read(upTo: 20_000) {
                if bytes.isEmpty { return all }
                all += bytes
                if all.count % 7 == 0 { usleep(500) }
            }
            return nil
        }

        @Test(arguments: PollMechanism.allCases)
        func `one side may end and still be answered`(mechanism: PollMechanism) async throws {
            let relay = Relay(mechanism: mechanism)
            let server = try Server()
            let (outside, detached) = try Self.outsideStream()
            relay.splice(detached, to: server.endpoint)
            let inside = try server.accept()
            #expect(outside.write([1, 2, 3]))
            outside.endWriting()
            #expect(await onThread { inside.readAll() } == [1, 2, 3])
            #expect(relay.counts.activePairs == 1)
            #expect(inside.write([4, 5]))
            #expect(outside.read() == [4, 5])
            inside.close()
            #expect(await onThread { outside.readAll() } == [])
            try await eventually { relay.counts.activePairs == 0 }
            relay.stop()
        }

        @Test(arguments: PollMechanism.allCases)
        func `a side that has wholly ended costs nothing while the other is slow`(
            mechanism: PollMechanism
        ) async throws {
            let relay = Relay(name: "test-relay", mechanism: mechanism)
            let server = try Server()
            let (outside, detached) = try Self.outsideStream()
            relay.splice(detached, to: server.endpoint)
            let inside = try server.accept()
            inside.endWriting()
            #expect(await onThread { outside.readAll() } == [])
            // More than all buffers hold, so that bytes are pending in the relay when we end.
            let bytes = randomBytes(12_000_000, seed: 5)
            async let sent = onThread {
                defer { outside.endWriting() }
                return outside.write(bytes)
            }
            try await eventually { relay.counts.bytesFromFirst > 100_000 }
            try await Task.sleep(for: .milliseconds(50))
            let before = processorTime(ofThread: "test-relay")
            try await Task.sleep(for: .milliseconds(300))
            let used = processorTime(ofThread: "test-relay") - before
            #expect(used <= 5, "of 30 ticks")
            #expect(await onThread { inside.readAll() } == bytes)
            #expect(await sent)
            try await eventually { relay.counts.activePairs == 0 }
            #expect(relay.counts.failedPairs == 0)
            relay.stop()
        }

        @Test func `an end is passed on, whatever was read before it`() async throws {
            let relay = Relay()
            let server = try Server()
            for size in (0...12).flatMap({ [$0 * 16_384, $0 * 16_384 + 1] }) {
                let (outside, detached) = try Self.outsideStream()
                // Sent before the relay begins, so that it finds bytes and end together.
                #expect(outside.write(randomBytes(size, seed: 6)))
                outside.endWriting()
                relay.splice(detached, to: server.endpoint)
                let inside = try server.accept()
                #expect(await onThread { inside.readAll()?.count } == size)
                inside.endWriting()
                #expect(await onThread { outside.readAll() } == [])
            }
            try await eventually { relay.counts.activePairs == 0 }
            relay.stop()
        }

        @Test func `a side that breaks takes the other with it at once`() async throws {
            let relay = Relay()
            let server = try Server()
            let (outside, detached) = try Self.outsideStream()
            let results = Recorder<RelayResult>()
            relay.splice(detached, to: server.endpoint) { results.append($0) }
            let inside = try server.accept()
            #expect(outside.write([1]))
            #expect(inside.read() == [1])
            // Closing with unread bytes resets.
            #expect(outside.write([2]))
            try await eventually { relay.counts.bytesFromFirst == 2 }
            inside.close()
            #expect(await onThread { outside.readAll() } == nil)
            try await eventually { results.count == 1 }
            #expect(results.all.first?.ending == .reset)
            relay.stop()
        }

        @Test func `a server that is not there resets the stream`() async throws {
            let relay = Relay()
            let server = try Server()
            server.close()
            let (outside, detached) = try Self.outsideStream()
            let results = Recorder<RelayResult>()
            relay.splice(detached, to: server.endpoint) { results.append($0) }
            try await eventually { results.count == 1 }
            #expect(results.all.first?.ending == .refused)
            #expect(relay.counts.failedPairs == 1)
            // The duplicate in the test keeps no connection open: the reset is what arrives.
            #expect(await onThread { outside.readAll() } == nil)
            relay.stop()
        }

        @Test func `stopping closes all pairs, and nothing is left`() async {
            // In a process of its own: others open descriptors too.
            await #expect(processExitsWith: .success) {
                try await Self.stopRelay()
            }
        }

        private static func stopRelay() async throws {
            let before = try openDescriptorCount()
            do {
                let relay = Relay(pairLimit: 10)
                let server = try Server()
                var peers: [Peer] = []
                for _ in 0..<12 {
                    let (outside, detached) = try Self.outsideStream()
                    peers.append(outside)
                    relay.splice(detached, to: server.endpoint)
                }
                // Two are too many.
                for _ in 0..<10 { peers.append(try server.accept()) }
                try await eventually { relay.counts.failedPairs == 2 }
                #expect(relay.counts.activePairs == 10)
                relay.stop()
                #expect(relay.counts.activePairs == 0)
                let (outside, detached) = try Self.outsideStream()
                relay.splice(detached, to: server.endpoint)
                #expect(await onThread { outside.readAll() } == nil)
                relay.stop()
            }
            // A leak would be of thirty; the runtime opens a few for itself meanwhile.
            try await eventually { ((try? openDescriptorCount()) ?? .max) <= before + 8 }
        }

        @Test(arguments: PollMechanism.allCases)
        func `a stream is spliced after a handshake, with what was read and what was queued`(
            mechanism: PollMechanism
        ) async throws {
            let relay = Relay(mechanism: mechanism)
            let server = try Server()
            try await withLoop(mechanism) { loop in
                let transport = SocketStreamTransport(on: loop, relay: relay)
                let listener = try StreamListener(on: loop, at: .loopback(2))
                let events = StreamRecorder()
                try await listener.start { stream in
                    { event in
                        events.note(event)
                        guard case .received(let bytes) = event else { return }
                        stream.send([UInt8](repeating: 42, count: 500_000))
                        transport.splice(
                            stream,
                            first: Array(bytes[1...]),
                            to: server.endpoint,
                            under: nil,
                            with: []
                        )
                    }
                }
                let peer = try Peer.connected(to: listener.local)
                #expect(peer.write([1, 2, 3]))
                let inside = try server.accept()
                #expect(inside.read() == [2, 3])
                #expect(inside.write([4]))
                inside.endWriting()
                let answer = await onThread { peer.readAll() }
                #expect(answer == [UInt8](repeating: 42, count: 500_000) + [4])
                #expect(peer.write([5]))
                peer.endWriting()
                #expect(await onThread { inside.readAll() } == [5])
                #expect(events.now.closures == [.closedHere])
                await listener.close()
            }
            relay.stop()
        }

        @Test func `two streams are joined`() async throws {
            let relay = Relay()
            let (left, leftDetached) = try Self.outsideStream()
            let (right, rightDetached) = try Self.outsideStream()
            relay.join(leftDetached, rightDetached)
            #expect(left.write([1]))
            #expect(right.read() == [1])
            #expect(right.write([2]))
            #expect(left.read() == [2])
            left.endWriting()
            right.endWriting()
            try await eventually { relay.counts.endedPairs == 1 }
            relay.stop()
        }
    }
}

/// In ticks of 10 ms.
func processorTime(ofThread name: String) -> Int {
    let tasks = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task")) ?? []
    for task in tasks {
        let path = "/proc/self/task/\(task)/stat"
        guard let text = try? String(contentsOfFile: path, encoding: .utf8),
            text.contains("(\(name))"), let rest = text.split(separator: ")").last
        else { continue }
        let fields = rest.split(separator: " ")
        return (Int(fields[11]) ?? 0) + (Int(fields[12]) ?? 0)
    }
    return 0
}
