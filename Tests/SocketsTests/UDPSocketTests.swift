import EventLoop
import Primitives
@testable import Sockets
import Synchronization
import Testing

/// Keeps copies of what it receives.
final class DatagramRecorder: DatagramReceiver {
    func refused(by destination: Endpoint) { refusals.append(destination) }

    let datagrams = Recorder<(bytes: [UInt8], source: Endpoint)>()
    let refusals = Recorder<Endpoint>()

    func receive(_ bytes: Span<UInt8>, from source: Endpoint) {
        datagrams.append(([UInt8](copying: bytes), source))
    }
}

/// Sends everything back.
final class Echo: DatagramReceiver {
    func refused(by destination: Endpoint) {}

    private let socket: UDPSocket

    init(_ socket: UDPSocket) { self.socket = socket }

    func receive(_ bytes: Span<UInt8>, from source: Endpoint) { socket.send(bytes, to: source) }
}

extension UDPSocket {
    nonisolated func send(copying bytes: [UInt8], to destination: Endpoint, on loop: PollLoop) {
        loop.execute { self.send(bytes.span, to: destination) }
    }
}

extension SocketsTests {
    @Suite struct UDPSocketTests {
        @Test(arguments: PollMechanism.allCases)
        func `datagrams of all sizes come back, also empty and the largest ones`(
            mechanism: PollMechanism
        ) async throws {
            try await withLoop(mechanism) { loop in
                let server = try UDPSocket(on: loop, at: .loopback(2))
                try await server.start(Echo(server))
                let client = try UDPSocket(on: loop, at: .loopback(3))
                let answers = DatagramRecorder()
                try await client.start(answers)
                for (index, size) in [0, 1, 1400, 65_507, 0].enumerated() {
                    let bytes = randomBytes(size, seed: UInt64(index))
                    client.send(copying: bytes, to: server.local, on: loop)
                    try await eventually { answers.datagrams.count == index + 1 }
                    #expect(answers.datagrams.all[index].bytes == bytes)
                    #expect(answers.datagrams.all[index].source == server.local)
                }
                #expect(client.counts.packetsSent == 5)
                #expect(client.counts.packetsReceived == 5)
                #expect(client.counts.bytesReceived == 66_908)
                #expect(server.counts == client.counts)
                await server.close()
                await client.close()
            }
        }

        @Test func `a datagram to nobody does not disturb the ones that follow`() async throws {
            try await withLoop { loop in
                let nobody = try UDPSocket(on: loop, at: .loopback(4))
                await nobody.close()
                let server = try UDPSocket(on: loop, at: .loopback(2))
                let received = DatagramRecorder()
                try await server.start(received)
                for number in 0..<20 {
                    server.send(copying: [0], to: nobody.local, on: loop)
                    server.send(copying: [UInt8(number)], to: server.local, on: loop)
                }
                try await eventually { received.datagrams.count == 20 }
                #expect(received.datagrams.all.map(\.bytes) == (0..<20).map { [UInt8($0)] })
                await server.close()
            }
        }

        #if os(Linux)
        @Test(arguments: PollMechanism.allCases)
        func `a datagram to nobody is refused, and the refusal names whom it was for`(
            mechanism: PollMechanism
        ) async throws {
            try await withLoop(mechanism) { loop in
                let nobody = try UDPSocket(on: loop, at: .loopback(4))
                let other = try UDPSocket(on: loop, at: .loopback(5))
                await nobody.close()
                await other.close()
                let socket = try UDPSocket(on: loop, at: .loopback(2))
                let heard = DatagramRecorder()
                try await socket.start(heard)
                for destination in [nobody.local, other.local, nobody.local] {
                    let count = heard.refusals.count
                    socket.send(copying: [1, 2, 3], to: destination, on: loop)
                    try await eventually { heard.refusals.count == count + 1 }
                    #expect(heard.refusals.all.last == destination)
                }
                #expect(socket.counts.packetsSent == 3)
                #expect(heard.datagrams.count == 0)
                await socket.close()
            }
        }
        #endif

        @Test func `what cannot be sent is counted and forgotten`() async throws {
            try await withLoop { loop in
                let socket = try UDPSocket(on: loop, at: .loopback(2))
                let peer = Endpoint.loopback(3, port: 9)
                socket.send(copying: randomBytes(65_508, seed: 1), to: peer, on: loop)
                // An address that a loopback socket has no way to, and a family it does not speak.
                let elsewhere = Endpoint(address: .v6(1), port: 9)
                socket.send(copying: [1], to: elsewhere, on: loop)
                loop.executeAndWait {}
                #expect(socket.counts.droppedForSize == 1)
                #expect(socket.counts.droppedAsUnreachable == 1)
                #expect(socket.counts.packetsSent == 0)
                await socket.close()
                socket.send(copying: [1], to: peer, on: loop)
                loop.executeAndWait {}
                #expect(socket.counts.packetsSent == 0)
            }
        }

        @Test func `an address in use is refused with words that help`() async throws {
            try await withLoop { loop in
                let first = try UDPSocket(on: loop, at: .loopback(2))
                let port = first.local.port
                #expect(throws: SocketError.addressInUse(first.local, kind: .datagrams)) {
                    try UDPSocket(on: loop, at: .loopback(2, port: port))
                }
                let words = SocketError.addressInUse(first.local, kind: .datagrams).description
                #expect(words.hasPrefix("UDP port \(port) of 127.0.0.2 is in use, perhaps by"))
                // Another address with the same port is another agent.
                let second = try UDPSocket(on: loop, at: .loopback(3, port: port))
                await first.close()
                await second.close()
                let third = try UDPSocket(on: loop, at: .loopback(2, port: port))
                await third.close()
            }
        }

        @Test func `a foreign address is refused with words that help`() async throws {
            try await withLoop { loop in
                let foreign = Endpoint(address: .v4(0xCB00_7101), port: 0)
                #expect(throws: SocketError.addressUnavailable(foreign)) {
                    try UDPSocket(on: loop, at: foreign)
                }
            }
        }

        @Test func `a socket on all addresses hears IPv6 and IPv4`() async throws {
            try await withLoop { loop in
                let server = try UDPSocket(on: loop, at: Endpoint(address: .v6(0), port: 0))
                try await server.start(Echo(server))
                for address in [IPAddress.v6(1), .v4(0x7F00_0005)] {
                    let client = try UDPSocket(on: loop, at: Endpoint(address: address, port: 0))
                    let answers = DatagramRecorder()
                    try await client.start(answers)
                    let target = Endpoint(
                        address: address == .v6(1) ? .v6(1) : .loopback,
                        port: server.local.port
                    )
                    client.send(copying: [1, 2], to: target, on: loop)
                    try await eventually { answers.datagrams.count == 1 }
                    #expect(answers.datagrams.all.first?.bytes == [1, 2])
                    await client.close()
                }
                await server.close()
            }
        }

        @Test func `a receiver can close the socket it is called by`() async throws {
            try await withLoop { loop in
                let socket = try UDPSocket(on: loop, at: .loopback(2))
                let closer = Closer(socket)
                try await socket.start(closer)
                loop.execute {
                    for _ in 0..<5 { socket.send([1].span, to: socket.local) }
                }
                try await eventually { closer.count.total == 1 }
                loop.executeAndWait {}
                #expect(closer.count.total == 1)
            }
        }
    }
}

final class Closer: DatagramReceiver {
    func refused(by destination: Endpoint) {}

    let count = Counter()
    private let socket: UDPSocket

    init(_ socket: UDPSocket) { self.socket = socket }

    func receive(_ bytes: Span<UInt8>, from source: Endpoint) {
        count.add()
        socket.assumeIsolated { $0.close() }
    }
}
