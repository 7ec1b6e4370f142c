import Primitives
import Testing

@testable import Agent
@testable import Sockets

/// Which of a machine's addresses others are told.
struct OwnAddressTests {
    private static func way(
        _ name: String,
        _ address: String,
        isUp: Bool = true
    ) throws -> InterfaceAddress {
        InterfaceAddress(
            interface: name,
            index: 1,
            address: try #require(IPAddress(address)),
            prefixLength: 24,
            broadcast: nil,
            isUp: isUp,
            isLoopback: name == "lo",
            supportsMulticast: name != "lo"
        )
    }

    private static func chosen(
        bind: String = "0.0.0.0",
        current: String? = nil,
        _ ways: (String, String)...
    ) throws -> String {
        let addresses = try ways.map { try way($0.0, $0.1) }
        let bind = try #require(IPAddress(bind))
        let current = current.flatMap { IPAddress($0) }
        return "\(OwnAddress.choose(for: bind, among: addresses, current: current))"
    }

    @Test func `an agent on one address says that one`() throws {
        #expect(try Self.chosen(bind: "10.0.0.1", ("eth0", "192.168.1.7")) == "10.0.0.1")
    }

    @Test func `a phone says its Wi-Fi's address, not the phone network's`() throws {
        #expect(
            try Self.chosen(
                ("lo", "127.0.0.1"),
                ("rmnet_data0", "10.20.30.40"),
                ("v4-rmnet_data0", "192.0.0.4"),
                ("wlan0", "192.168.1.7")
            ) == "192.168.1.7"
        )
    }

    @Test func `a VPN counts less than a local network, and more than nothing`() throws {
        let tunnel = ("wg0", "10.8.0.2")
        #expect(try Self.chosen(tunnel, ("eth0", "192.168.1.7")) == "192.168.1.7")
        #expect(try Self.chosen(tunnel, ("docker0", "172.17.0.1")) == "10.8.0.2")
        #expect(try Self.chosen(("docker0", "172.17.0.1")) == "172.17.0.1")
    }

    @Test func `the family follows the address that the agent listens on`() throws {
        let both = [("eth0", "192.168.1.7"), ("eth0", "2001:db8::7")]
        #expect(try Self.chosen(bind: "0.0.0.0", both[1], both[0]) == "192.168.1.7")
        #expect(try Self.chosen(bind: "0.0.0.0", both[1]) == "127.0.0.1")
        // Not every agent listens on IPv6.
        #expect(try Self.chosen(bind: "::", both[1], both[0]) == "192.168.1.7")
        #expect(try Self.chosen(bind: "::", both[1]) == "2001:db8::7")
    }

    @Test func `an address of the link alone is said where there is no better one`() throws {
        let link = ("eth0", "fe80::7%2")
        #expect(try Self.chosen(bind: "::", link, ("eth0", "2001:db8::7")) == "2001:db8::7")
        #expect(try Self.chosen(bind: "::", link, ("docker0", "172.17.0.1")) == "fe80::7")
        #expect(try Self.chosen(bind: "0.0.0.0", link) == "127.0.0.1")
        #expect(try Self.chosen(("eth0", "169.254.8.9")) == "169.254.8.9")
        #expect(try Self.chosen(bind: "fe80::7%2") == "fe80::7")
        let two = [("wlan0", "fe80::8%3"), link]
        #expect(try Self.chosen(bind: "::", current: "fe80::7", two[0], two[1]) == "fe80::7")
    }

    @Test func `an agent is told an address of the link by its zone, or by the address alone`()
        throws
    {
        let own = [try Self.way("eth0", "fe80::7%2"), try Self.way("eth0", "10.0.0.7")]
        func listening(_ text: String) -> String? {
            OwnAddress.listening(on: text, among: own).map { "\($0)" }
        }
        #expect(listening("fe80::7") == "fe80::7%2")
        #expect(listening("fe80::9%5") == "fe80::9%5")
        #expect(listening("fe80::7%no-such-interface") == nil)
        #expect(listening("0.0.0.0") == "0.0.0.0")
        #expect(listening("here") == nil)
        #expect(Interfaces.numberingZone(of: "[fe80::1%lo]:80") == "[fe80::1%1]:80")
    }

    @Test func `what was said before stays, unless something better has come`() throws {
        let ways = [("eth0", "10.0.0.1"), ("wlan0", "192.168.1.7")]
        #expect(try Self.chosen(ways[0], ways[1]) == "10.0.0.1")
        #expect(try Self.chosen(current: "192.168.1.7", ways[0], ways[1]) == "192.168.1.7")
        #expect(try Self.chosen(current: "10.0.0.9", ways[0], ways[1]) == "10.0.0.1")
        #expect(try Self.chosen(current: "10.8.0.2", ("tun0", "10.8.0.2"), ways[0]) == "10.0.0.1")
    }

    @Test func `what leads nowhere is never said`() throws {
        #expect(try Self.chosen(("lo", "127.0.0.1"), ("eth0", "fe80::7")) == "127.0.0.1")
        let down = try Self.way("eth0", "10.0.0.1", isUp: false)
        #expect(OwnAddress.choose(for: .v4(0), among: [down]) == .loopback)
        #expect(OwnAddress.choose(for: .v4(0), among: []) == .loopback)
    }
}

struct HeardBeaconsTests {
    private static func at(_ seconds: Int) -> Instant { .origin + .seconds(seconds) }

    @Test func `beacons are remembered by where they come from`() throws {
        var heard = HeardBeacons()
        let address = try #require(IPAddress("192.168.1.8"))
        let endpoint = Endpoint(address: address, port: 52414)
        heard.note(endpoint, from: address, at: Self.at(0))
        heard.note(nil, from: address, at: Self.at(5))
        heard.note(endpoint, from: address, at: Self.at(10))
        #expect(
            heard.entries == [
                .init(address: address, endpoint: endpoint, first: Self.at(0), last: Self.at(10)),
                .init(address: address, endpoint: nil, first: Self.at(5), last: Self.at(5)),
            ]
        )
        heard.note(nil, from: .loopback, at: Self.at(112))
        #expect(heard.entries.map(\.last) == [Self.at(10), Self.at(112)])
    }

    @Test func `there is an end to how many are remembered`() {
        var heard = HeardBeacons()
        for number in 0..<1000 as Range<UInt32> {
            let address = IPAddress.v4(0x0A00_0000 + number)
            heard.note(Endpoint(address: address, port: 1), from: address, at: .origin)
        }
        #expect(heard.entries.count == HeardBeacons.limit)
    }

    @Test func `strangers without number leave room for members`() {
        var heard = HeardBeacons()
        let start = Instant.origin
        for number in 0..<1000 as Range<UInt32> { heard.note(nil, from: .v4(number), at: start) }
        #expect(heard.entries.count == HeardBeacons.foreignLimit)
        let own = Endpoint(address: .v4(7), port: 1)
        heard.note(own, from: own.address, at: start + .seconds(1))
        #expect(heard.entries.last?.endpoint == own)
        // Who is heard again is no further entry, and who falls silent makes room.
        heard.note(nil, from: .v4(0), at: start + .seconds(2))
        #expect(heard.entries.count == HeardBeacons.foreignLimit + 1)
        heard.note(nil, from: .v4(5000), at: start + .seconds(110))
        #expect(heard.entries.map(\.address) == [.v4(5000)])
    }

    @Test func `on another network nothing of it holds`() {
        var heard = HeardBeacons()
        heard.noteOwn()
        heard.note(nil, from: .loopback, at: .origin)
        #expect(heard.hearsItself)
        heard.forget()
        #expect(!heard.hearsItself && heard.entries.isEmpty)
    }
}
