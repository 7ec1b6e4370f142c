import Foundation
import Primitives
import Testing

@testable import Gateway

/// Two tokens, one of each kind.
private struct TwoTokens: TokenVerifier {
    static let api = "caravan-api-1"
    static let admin = "caravan-admin-2"

    func kind(of token: String) -> TokenKind? {
        [Self.api: TokenKind.api, Self.admin: .admin][token]
    }
}

/// Who may ask what, over real sockets.
///
/// A request that a proxy forwarded stands for one from another device.
@Suite(.timeLimit(.minutes(5)))
struct AccessTests {
    private static func status(
        _ method: String,
        _ path: String,
        host: String = "localhost",
        _ fields: [String] = [],
        _ backend: FakeBackend = FakeBackend()
    ) async throws -> String {
        var text = ""
        try await withGateway(backend, tokens: TwoTokens()) { port in
            let client = try await RawConnection.connect(port: port)
            let body = method == "POST" ? #"{"model":"m.gguf"}"# : ""
            let all =
                ["Host: \(host)", "Connection: close", "Content-Length: \(body.utf8.count)"]
                + fields
            let head = "\(method) \(path) HTTP/1.1\r\n" + all.joined(separator: "\r\n")
            try await client.send(head + "\r\n\r\n" + body)
            text = await client.readToEnd()
        }
        return text
    }

    /// What a request is answered with: its status and, for an error, the code.
    private static func verdict(_ answer: String) -> String {
        let number = String(answer.split(separator: " ").dropFirst().first ?? "")
        guard let range = answer.firstRange(of: #""code":""#) else { return number }
        return number + " " + answer[range.upperBound...].prefix { $0 != "\"" }
    }

    private static let remote = "X-Forwarded-For: 192.0.2.9"
    private static let api = "Authorization: Bearer \(TwoTokens.api)"
    private static let admin = "authorization: bearer \(TwoTokens.admin)"

    @Test(arguments: [
        "127.0.0.1", "127.0.0.1:52415", "localhost:52415", "LOCALHOST", "dash.localhost:1",
        "[::1]:52415", "192.168.1.7",
    ])
    func `on this machine nothing needs a token`(host: String) async throws {
        for (method, path) in [("GET", "/api/v1/cluster"), ("POST", "/api/v1/launch")] {
            let answer = try await Self.status(method, path, host: host)
            #expect(Self.verdict(answer).hasPrefix("20"), "\(answer)")
        }
    }

    @Test func `a key that is no token does no harm on this machine`() async throws {
        let answer = try await Self.status("GET", "/v1/models", ["Authorization: Bearer unused"])
        #expect(Self.verdict(answer) == "200")
    }

    @Test(arguments: [
        "evil.example", "evil.example:52415", "127.0.0.1.evil.example", "localhost.evil.example",
        "kitchen", "127.0.0.1:1:evil", "[::1.evil", "999.0.0.1",
    ])
    func `a name that was made to mean this machine is refused`(host: String) async throws {
        let backend = FakeBackend()
        let answer = try await Self.status("GET", "/api/v1/cluster", host: host, [], backend)
        #expect(Self.verdict(answer) == "403 host_not_allowed")
        #expect(backend.with { $0.refused } == ["http.host"])
        // With a token there is nothing to pose as: other sites have none.
        let admitted = try await Self.status("GET", "/api/v1/cluster", host: host, [Self.api])
        #expect(Self.verdict(admitted) == "200")
    }

    @Test(arguments: [
        "/health", "/v1/models", "/v1/models/x", "/api/v1/cluster", "/api/v1/events",
        "/api/v1/models", "/api/v1/network",
    ])
    func `from elsewhere a token is needed`(path: String) async throws {
        let backend = FakeBackend()
        let answer = try await Self.status("GET", path, [Self.remote], backend)
        #expect(Self.verdict(answer) == "401 token_needed")
        #expect(answer.lowercased().contains("www-authenticate: bearer"))
        #expect(backend.with { $0.refused } == ["http.token"])
    }

    @Test(arguments: ["/v1/chat/completions", "/v1/completions", "/api/v1/launch", "/api/v1/stop"])
    func `from elsewhere a token is needed to post`(path: String) async throws {
        let backend = FakeBackend()
        let answer = try await Self.status("POST", path, [Self.remote], backend)
        #expect(Self.verdict(answer) == "401 token_needed")
        #expect(backend.with { $0.launched.count + $0.stopCount } == 0)
    }

    @Test(arguments: [
        "Bearer wrong", "Bearer", "Bearer ", "Basic \(TwoTokens.api)", TwoTokens.api,
        "Bearer \(TwoTokens.api)x", "Bearer \(TwoTokens.admin.dropLast())",
    ])
    func `a wrong token is no token`(value: String) async throws {
        let answer = try await Self.status(
            "GET",
            "/api/v1/cluster",
            [Self.remote, "Authorization: \(value)"]
        )
        #expect(Self.verdict(answer) == "401 token_needed")
        // Who has sent one is told that it does not count, and not to send one.
        let isSent = value.hasPrefix("Bearer") && value.count > "Bearer ".count
        #expect(answer.contains("does not count at this agent") == isSent)
    }

    @Test func `a token admits from elsewhere, under any name`() async throws {
        for token in [Self.api, Self.admin] {
            let answer = try await Self.status(
                "GET",
                "/api/v1/cluster",
                host: "caravan.example",
                [Self.remote, token]
            )
            #expect(Self.verdict(answer) == "200")
        }
    }

    @Test(arguments: ["/api/v1/launch", "/api/v1/stop"])
    func `what the cluster runs is changed with an admin token only`(path: String) async throws {
        let backend = FakeBackend()
        // On this machine, too: whoever shows a token is held to what it allows.
        for fields in [[Self.remote, Self.api], [Self.api]] {
            let answer = try await Self.status("POST", path, fields, backend)
            #expect(Self.verdict(answer) == "403 admin_token_needed")
        }
        #expect(backend.with { $0.launched.count + $0.stopCount } == 0)
        let answer = try await Self.status("POST", path, [Self.remote, Self.admin], backend)
        #expect(Self.verdict(answer) == "202")
    }

    @Test(arguments: [
        "Forwarded: for=192.0.2.9", "X-Forwarded-For: 192.0.2.9", "X-Forwarded-Host: a",
        "X-Real-IP: 192.0.2.9", "Via: 1.1 proxy",
    ])
    func `what a proxy passes on does not come from this machine`(field: String) async throws {
        #expect(
            Self.verdict(try await Self.status("GET", "/api/v1/cluster", [field]))
                == "401 token_needed"
        )
    }

    @Test func `an open gateway asks nobody for a token, and still refuses other sites`()
        async throws
    {
        try await withGateway(FakeBackend(), tokens: TwoTokens(), isOpen: true) { port in
            for (host, expected) in [
                ("192.168.1.7", "HTTP/1.1 200"), ("evil.example", "HTTP/1.1 403"),
            ] {
                let client = try await RawConnection.connect(port: port)
                try await client.send(
                    "GET /api/v1/cluster HTTP/1.1\r\nHost: \(host)\r\n\(Self.remote)\r\n"
                        + "Connection: close\r\n\r\n"
                )
                #expect(await client.readToEnd().hasPrefix(expected))
            }
        }
    }

    @Test(arguments: [
        ("/api/v1/cluster", ["Host: localhost", "Host: localhost"]),
        ("/api/v1/cluster", ["Host: localhost", "Host: evil.example"]),
        ("/api/v1/cluster", ["Host: evil.example", "host: localhost"]),
        ("http://evil.example/api/v1/cluster", ["Host: localhost"]),
        ("http://localhost/api/v1/cluster", ["Host: evil.example"]),
        ("http://localhost:1/api/v1/cluster", ["Host: localhost:2"]),
        ("http://me@localhost/api/v1/cluster", ["Host: localhost"]),
        ("http://evil.example", ["Host: localhost"]),
    ])
    func `a request that names several hosts is refused`(target: String, hosts: [String])
        async throws
    {
        for fields in [hosts, hosts + [Self.admin]] {
            let backend = FakeBackend()
            let answer = try await raw("GET", target, fields, backend)
            #expect(Self.verdict(answer) == "400 ambiguous_host")
            #expect(backend.with { $0.refused } == ["http.host"])
        }
    }

    @Test(arguments: [
        "http://localhost:52415/api/v1/cluster",
        "HTTP://LOCALHOST:52415/api/v1/cluster?a=b://c",
    ])
    func `a target may name the host as well`(target: String) async throws {
        let answer = try await raw("GET", target, ["Host: localhost:52415"], FakeBackend())
        #expect(answer.hasPrefix("HTTP/1.1 200 "))
        // Without a header it is the only one, and counts.
        let without = try await raw("GET", target, [], FakeBackend())
        #expect(without.hasPrefix("HTTP/1.1 200 "))
        let evil = try await raw("GET", "http://evil.example/api/v1/cluster", [], FakeBackend())
        #expect(Self.verdict(evil) == "403 host_not_allowed")
    }

    private func raw(
        _ method: String,
        _ target: String,
        _ fields: [String],
        _ backend: FakeBackend
    ) async throws -> String {
        var text = ""
        try await withGateway(backend, tokens: TwoTokens()) { port in
            let client = try await RawConnection.connect(port: port)
            let lines = ["\(method) \(target) HTTP/1.1"] + fields + ["Connection: close"]
            try await client.send(lines.joined(separator: "\r\n") + "\r\n\r\n")
            text = await client.readToEnd()
        }
        return text
    }

    @Test func `the page to log in on is there for everybody`() async throws {
        let answer = try await Self.status("GET", "/", host: "kitchen.lan", [Self.remote])
        #expect(answer.hasPrefix("HTTP/1.1 200 "))
        #expect(answer.contains("login-form"))
    }

    @Test(arguments: [
        "Origin: http://evil.example", "Origin: null", "Origin: http://localhost:1",
        "Sec-Fetch-Site: cross-site",
    ])
    func `what another site makes a browser send is refused`(field: String) async throws {
        for method in ["GET", "POST"] {
            let backend = FakeBackend()
            let path = method == "GET" ? "/api/v1/cluster" : "/api/v1/stop"
            // A token does not help: a browser may have been told to remember it.
            for fields in [[field], [field, Self.admin]] {
                let answer = try await Self.status(method, path, fields, backend)
                #expect(Self.verdict(answer) == "403 cross_origin")
            }
            #expect(backend.with { $0.refused } == ["http.crossOrigin", "http.crossOrigin"])
            #expect(backend.with { $0.stopCount } == 0)
        }
    }

    @Test func `the dashboard's own requests pass`() async throws {
        let answer = try await Self.status(
            "POST",
            "/api/v1/stop",
            host: "127.0.0.1:52415",
            ["Origin: http://127.0.0.1:52415", "Sec-Fetch-Site: same-origin"]
        )
        #expect(Self.verdict(answer) == "202")
    }

    @Test(arguments: [
        ("127.0.0.1", "127.0.0.1", true), ("127.0.0.9", "127.0.0.2", true), ("::1", "::1", true),
        ("::ffff:127.0.0.1", "::ffff:127.0.0.1", true), ("192.168.1.7", "192.168.1.7", true),
        ("192.168.1.8", "192.168.1.7", false), ("::ffff:192.168.1.8", "::", false),
        ("fd00::8", "fd00::7", false), ("10.0.0.1", "127.0.0.1", false),
    ])
    func `a program on this machine is told by its address`(
        peer: String,
        local: String,
        expected: Bool
    ) {
        let caller = GatewayAccess.Caller(peer: IPAddress(peer), local: IPAddress(local))
        #expect(caller.isOnThisMachine == expected)
    }

    @Test func `a caller without an address is not on this machine`() {
        #expect(!GatewayAccess.Caller(peer: nil, local: nil).isOnThisMachine)
    }

    @Test func `the client sends its token`() async throws {
        try await withGateway(FakeBackend(), tokens: TwoTokens()) { port in
            let endpoint = try #require(Endpoint("127.0.0.1:\(port)"))
            let client = GatewayClient(endpoint: endpoint, token: TwoTokens.api)
            #expect(try await client.post("/api/v1/stop", json: []).status == 403)
        }
    }
}
