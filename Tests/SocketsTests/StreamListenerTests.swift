import EventLoop
import Foundation
import Primitives
@testable import Sockets
import Testing

extension SocketsTests {
    @Suite struct StreamListenerTests {
        @Test(arguments: PollMechanism.allCases)
        func `a flood beyond the limit is closed at once, and others get in when there is room`(
            mechanism: PollMechanism
        ) async {
            // In a process of its own: others open descriptors too.
            let isPoll = mechanism == .poll
            await #expect(processExitsWith: .success) { [isPoll = isPoll as Bool] in
                try await Self.flood(isPoll ? .poll : .best)
            }
        }

        private static func flood(_ mechanism: PollMechanism) async throws {
            let before = try openDescriptorCount()
            try await withLoop(mechanism) { loop in
                let listener = try StreamListener(on: loop, at: .loopback(2), streamLimit: 5)
                try await listener.start { _ in { _ in } }
                let peers = try (0..<40).map { _ in try Peer.connected(to: listener.local) }
                try await eventually { listener.counts.refused == 35 }
                #expect(listener.counts.accepted == 5)
                // The first five live, the others have ended.
                for peer in peers[5...] { #expect(peer.read()?.isEmpty ?? true) }
                peers[0].close()
                // The listener hears of the end some time later.
                var extra: [Peer] = []
                try await eventually {
                    if let peer = try? Peer.connected(to: listener.local) { extra.append(peer) }
                    return listener.counts.accepted == 6
                }
                await listener.close()
            }
            // A leak would be of forty; the runtime opens a few for itself meanwhile.
            try await eventually { ((try? openDescriptorCount()) ?? .max) <= before + 8 }
        }

        @Test func `a stream that was accepted echoes`() async throws {
            try await withLoop { loop in
                let listener = try StreamListener(on: loop, at: .loopback(2))
                try await listener.start { stream in
                    stream.send([0])
                    return { event in
                        if case .received(let bytes) = event { stream.send(bytes) }
                    }
                }
                let peer = try Peer.connected(to: listener.local)
                #expect(peer.read() == [0])
                #expect(peer.write([1, 2, 3]))
                #expect(peer.read() == [1, 2, 3])
                peer.close()
                await listener.close()
                #expect(throws: (any Error).self) { try Peer.connected(to: listener.local) }
            }
        }

        @Test func `a second listener on the address is refused, a later one is not`() async throws
        {
            try await withLoop { loop in
                let first = try StreamListener(on: loop, at: .loopback(2))
                try await first.start { stream in { _ in stream.close() } }
                #expect(throws: SocketError.addressInUse(first.local, kind: .streams)) {
                    try StreamListener(on: loop, at: first.local)
                }
                let peer = try Peer.connected(to: first.local)
                peer.close()
                await first.close()
                let second = try StreamListener(on: loop, at: first.local)
                await second.close()
            }
        }

        @Test(arguments: PollMechanism.allCases)
        func `without descriptors the listener waits, does not spin, and goes on later`(
            mechanism: PollMechanism
        ) async {
            // In a process of its own: others open descriptors too.
            let isPoll = mechanism == .poll
            await #expect(processExitsWith: .success) { [isPoll = isPoll as Bool] in
                try await Self.starveOfDescriptors(isPoll ? .poll : .best)
            }
        }

        private static func starveOfDescriptors(_ mechanism: PollMechanism) async throws {
            try await withLoop(mechanism) { loop in
                let listener = try StreamListener(on: loop, at: .loopback(2))
                try await listener.start { stream in
                    stream.send([1])
                    return { _ in }
                }
                let peer = Peer(socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
                let filler = DescriptorFiller()
                filler.fill()
                defer { filler.release() }
                var address = listener.local.sockaddr
                unsafe withUnsafePointer(to: &address) { pointer in
                    _ = unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
                        return unsafe connect(peer.descriptor, $0, size)
                    }
                }
                // Waits without the runtime's clocks, which open descriptors when they first need
                // them, and end the process if there are none.
                let hasPaused = await onThread {
                    for _ in 0..<15_000 where listener.counts.pauses < 2 { usleep(2_000) }
                    return listener.counts.pauses >= 2
                }
                #expect(hasPaused)
                #expect(listener.counts.pauses < 20)
                filler.release()
                #expect(await onThread { peer.read() } == [1])
                await listener.close()
            }
        }
    }
}

/// Takes all descriptors that the process may have.
final class DescriptorFiller {
    private var taken: [Int32] = []
    private var before = rlimit()

    func fill() {
        unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &before)
        let count = (try? openDescriptorCount()) ?? 100
        var limit = before
        limit.rlim_cur = rlim_t(count + 64)
        unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        while true {
            let descriptor = dup(0)
            if descriptor < 0 { return }
            taken.append(descriptor)
        }
    }

    func release() {
        guard !taken.isEmpty else { return }
        for descriptor in taken { close(descriptor) }
        taken = []
        unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &before)
    }
}
