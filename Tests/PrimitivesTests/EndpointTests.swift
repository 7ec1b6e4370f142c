import Primitives
import Testing

struct EndpointTests {
    @Test(
        arguments: [
            ("127.0.0.1:80", IPAddress.loopback, 80), ("0.0.0.0:0", .v4(0), 0),
            ("[::1]:65535", .v6(1), 65535),
            ("[fe80::1%2]:52414", .v6(IPv6Bits(0xFE80 << 112 | 1), scope: 2), 52414),
            ("[::ffff:192.0.2.5]:1", .v6(0xFFFF_C000_0205), 1),
        ] as [(String, IPAddress, UInt16)]
    )
    func `an endpoint is read and printed`(text: String, address: IPAddress, port: UInt16) {
        #expect(Endpoint(text) == Endpoint(address: address, port: port))
        #expect(Endpoint(address: address, port: port).description == text)
        // A default port does not override one that is given.
        #expect(Endpoint(text, defaultPort: 7) == Endpoint(address: address, port: port))
    }

    @Test(arguments: [
        ("127.0.0.1", IPAddress.loopback), ("::1", .v6(1)), ("[::1]", .v6(1)),
        ("::1:80", .v6(0x1_0080)),
    ])
    func `a port that is left out may be given by default`(text: String, address: IPAddress) {
        #expect(Endpoint(text, defaultPort: 7) == Endpoint(address: address, port: 7))
        #expect(Endpoint(text) == nil)
    }

    @Test(arguments: [
        "", ":", ":80", "80", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:-0",
        "127.0.0.1:+80", "127.0.0.1: 80", "127.0.0.1:80 ", "127.0.0.1:0x50", "127.0.0.1:80:80",
        "[::1]", "[::1]:", "[::1", "::1]:80", "[]:80", "[::1]80", "[[::1]]:80", "[127.0.0.1]:80",
        "localhost:80", "host", "[host]:80", "[::1]:80:80", "::1%2:80x",
    ])
    func `rubbish is no endpoint`(text: String) {
        #expect(Endpoint(text) == nil)
    }

    @Test(arguments: [
        "[127.0.0.1]", "[]", "[", "]", "[::1", "::1]", "", "host", "127.0.0.1:", "[[::1]]",
    ])
    func `rubbish is no endpoint with a default port either`(text: String) {
        #expect(Endpoint(text, defaultPort: 7) == nil)
    }

    @Test func `endpoints are ordered by address, then port`() throws {
        let texts = ["10.0.0.1:1", "10.0.0.1:2", "10.0.0.2:1", "[::1]:0"]
        let endpoints = try texts.map { try #require(Endpoint($0)) }
        #expect(Array(endpoints.reversed()).sorted() == endpoints)
    }
}
