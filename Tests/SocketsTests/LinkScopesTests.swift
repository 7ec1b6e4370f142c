import Primitives
@testable import Sockets
import Synchronization
import Testing

/// On which link an address is that is one of a link alone.
struct LinkScopesTests {
    private static func link(_ index: UInt32, _ address: String) throws -> InterfaceAddress {
        InterfaceAddress(
            interface: "eth\(index)",
            index: index,
            address: try #require(IPAddress(address)),
            prefixLength: 64,
            broadcast: nil,
            isUp: true,
            isLoopback: false,
            supportsMulticast: true
        )
    }

    private static func endpoint(_ text: String) throws -> Endpoint {
        try #require(Endpoint(text))
    }

    private static func machine() throws -> [InterfaceAddress] {
        [
            try link(2, "fe80::a%2"), try link(2, "10.0.0.1"), try link(3, "fe80::b%3"),
            try link(3, "fe80::c%3"),
        ]
    }

    private static func places(
        _ scopes: LinkScopes,
        _ text: String,
        at seconds: Int = 0
    ) throws -> [String] {
        scopes.places(of: try endpoint(text), at: .origin + .seconds(seconds)).map { "\($0)" }
    }

    @Test func `only addresses of a link alone need to be placed`() throws {
        let machine = try Self.machine()
        let scopes = LinkScopes { machine }
        for text in ["10.0.0.9:1", "[2001:db8::1]:1", "[::1]:1", "[fe80::1%9]:1"] {
            #expect(try Self.places(scopes, text) == [text])
        }
        let global = try Self.endpoint("[2001:db8::1]:1")
        #expect(scopes.heard(global) == global)
    }

    @Test func `an address is where it was heard last, and looked for on all links before`() throws
    {
        let machine = try Self.machine()
        let scopes = LinkScopes { machine }
        let peer = "[fe80::1]:7"
        #expect(try Self.places(scopes, peer) == ["[fe80::1%2]:7", "[fe80::1%3]:7"])
        #expect("\(scopes.heard(try Self.endpoint("[fe80::1%3]:99")))" == "[fe80::1]:99")
        #expect(try Self.places(scopes, peer) == ["[fe80::1%3]:7"])
        _ = scopes.heard(try Self.endpoint("[fe80::1%2]:99"))
        #expect(try Self.places(scopes, peer) == ["[fe80::1%2]:7"])
    }

    @Test func `a stream tries one link after the other until the address was heard`() throws {
        let machine = try Self.machine()
        let scopes = LinkScopes { machine }
        let peer = try Self.endpoint("[fe80::1]:7")
        let tried = (0..<4).map { _ in "\(scopes.place(of: peer, at: .origin))" }
        #expect(Set(tried) == ["[fe80::1%2]:7", "[fe80::1%3]:7"])
        #expect(tried[0] != tried[1])
    }

    @Test func `this machine's own addresses are where they are`() throws {
        let machine = try Self.machine()
        let scopes = LinkScopes { machine }
        #expect(try Self.places(scopes, "[fe80::c]:7") == ["[fe80::c%3]:7"])
    }

    @Test func `a link that is gone is forgotten, and one that came is used`() throws {
        let machine = Mutex(try Self.machine())
        let scopes = LinkScopes { machine.withLock { $0 } }
        _ = scopes.heard(try Self.endpoint("[fe80::1%3]:7"))
        #expect(try Self.places(scopes, "[fe80::1]:7") == ["[fe80::1%3]:7"])
        let now = [try Self.link(2, "fe80::a%2"), try Self.link(4, "fe80::d%4")]
        machine.withLock { $0 = now }
        #expect(
            try Self.places(scopes, "[fe80::1]:7", at: 10) == ["[fe80::1%2]:7", "[fe80::1%4]:7"]
        )
        machine.withLock { $0 = [] }
        #expect(try Self.places(scopes, "[fe80::1]:7", at: 20) == [])
    }

    @Test func `there is an end to how many addresses are remembered`() throws {
        let machine = try Self.machine()
        let scopes = LinkScopes { machine }
        for number in 0...UInt64(LinkScopes.addressLimit) {
            let bits = IPv6Bits(high: 0xFE80 << 48, low: 1000 + number)
            _ = scopes.heard(Endpoint(address: .v6(bits, scope: 3), port: 7))
        }
        // The first ones were forgotten, the last one is known.
        #expect(try Self.places(scopes, "[fe80::3e8]:7").count == 2)
        #expect(try Self.places(scopes, "[fe80::7e8]:7") == ["[fe80::7e8%3]:7"])
    }
}
