import EventLoop
import Primitives
@testable import Sockets
import Testing

extension SocketsTests {
    @Suite struct InterfaceTests {
        @Test func `the loopback interface is listed with its address`() throws {
            let addresses = try Interfaces.addresses()
            let loopback = try #require(addresses.first { $0.address == .loopback })
            #expect(loopback.isUp)
            #expect(loopback.isLoopback)
            #expect(loopback.prefixLength == 8)
            #expect(loopback.index > 0)
            #expect(loopback.broadcast == nil)
        }
    }

    @Suite struct BeaconTests {
        private func way(
            _ name: String,
            _ index: UInt32,
            _ address: String,
            broadcast: String? = nil,
            isUp: Bool = true,
            isLoopback: Bool = false
        ) throws -> InterfaceAddress {
            InterfaceAddress(
                interface: name,
                index: index,
                address: try #require(IPAddress(address)),
                prefixLength: 24,
                broadcast: broadcast.flatMap { IPAddress($0) },
                isUp: isUp,
                isLoopback: isLoopback,
                supportsMulticast: !isLoopback
            )
        }

        private func machine() throws -> [InterfaceAddress] {
            [
                try way("lo", 1, "127.0.0.1", isLoopback: true),
                try way("lo", 1, "::1", isLoopback: true),
                try way("wlan0", 2, "192.168.1.7", broadcast: "192.168.1.255"),
                try way("wlan0", 2, "fe80::7%2"),
                try way("eth0", 3, "10.0.0.7", broadcast: "10.0.0.255", isUp: false),
            ]
        }

        private func destinations(_ agent: String) throws -> [String] {
            let agent = try #require(IPAddress(agent))
            return Beacons.paths(for: agent, port: 9, among: try machine()).map {
                "\($0.source) \($0.interface) \($0.destination)"
            }
        }

        @Test func `an agent on a loopback address never leaves the machine`() throws {
            #expect(try destinations("127.0.0.5") == ["127.0.0.5 1 239.255.202.122:9"])
            // Linux has no route for IPv6 groups there.
            #expect(try destinations("::1") == [])
        }

        @Test func `an agent on one address uses its interface only`() throws {
            let expected = ["192.168.1.7 2 239.255.202.122:9", "192.168.1.7 2 192.168.1.255:9"]
            #expect(try destinations("192.168.1.7") == expected)
            #expect(try destinations("10.0.0.7") == [])
            #expect(try destinations("10.9.9.9") == [])
        }

        @Test func `an agent on all addresses uses what is up and leads outside`() throws {
            let v4 = ["192.168.1.7 2 239.255.202.122:9", "192.168.1.7 2 192.168.1.255:9"]
            #expect(try destinations("0.0.0.0") == v4)
            #expect(try destinations("::") == v4 + ["fe80::7%2 2 [ff12::ca7a:ca7a%2]:9"])
        }

        @Test func `without a network the loopback interface remains`() throws {
            let alone = try machine().filter(\.isLoopback)
            let paths = Beacons.paths(for: .v4(0), port: 9, among: alone)
            #expect(paths.map(\.source) == [.loopback])
        }

        @Test(arguments: PollMechanism.allCases)
        func `agents on one machine hear each other over loopback`(
            mechanism: PollMechanism
        ) async throws {
            try await withLoop(mechanism) { loop in
                let port = try await freePort(loop)
                let agents: [IPAddress] = [.v4(0x7F00_0002), .v4(0x7F00_0003)]
                let recorders = agents.map { _ in DatagramRecorder() }
                var sockets: [BeaconSocket] = []
                for (agent, recorder) in zip(agents, recorders) {
                    let socket = try BeaconSocket(on: loop, port: port, agent: agent)
                    try await socket.start(recorder)
                    #expect(await socket.paths.map(\.interface) == [1])
                    sockets.append(socket)
                }
                for (index, socket) in sockets.enumerated() {
                    loop.executeAndWait {
                        socket.assumeIsolated { $0.send([UInt8(index)].span) }
                    }
                }
                for recorder in recorders {
                    try await eventually { recorder.datagrams.count == 2 }
                    let heard = recorder.datagrams.all
                    #expect(heard.map(\.bytes) == [[0], [1]])
                    #expect(heard.map(\.source.address) == agents)
                }
                // Looking again changes nothing while nothing has changed.
                try await sockets[0].refresh()
                let second = sockets[1]
                loop.executeAndWait { second.assumeIsolated { $0.send([7].span) } }
                try await eventually { recorders[0].datagrams.count == 3 }
                #expect(sockets[1].counts.packetsSent == 2)
                for socket in sockets { await socket.close() }
            }
        }

        @Test func `a beacon that is too large is ignored`() async throws {
            try await withLoop { loop in
                let port = try await freePort(loop)
                let agent = IPAddress.v4(0x7F00_0002)
                let recorder = DatagramRecorder()
                let beacons = try BeaconSocket(on: loop, port: port, agent: agent)
                try await beacons.start(recorder)
                let sender = try UDPSocket(on: loop, at: .loopback(3))
                let target = Endpoint(address: agent, port: port)
                sender.send(copying: randomBytes(1201, seed: 1), to: target, on: loop)
                sender.send(copying: randomBytes(1200, seed: 2), to: target, on: loop)
                try await eventually { recorder.datagrams.count == 1 }
                #expect(recorder.datagrams.all.first?.bytes == randomBytes(1200, seed: 2))
                #expect(beacons.counts.ignored == 1)
                await beacons.close()
                await sender.close()
            }
        }

        private func freePort(_ loop: PollLoop) async throws -> UInt16 {
            let socket = try UDPSocket(on: loop, at: Endpoint(address: .v6(0), port: 0))
            await socket.close()
            return socket.local.port
        }
    }
}
