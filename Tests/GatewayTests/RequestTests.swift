import Foundation
import Gateway
import Logging
import NIOCore
import Testing

@Suite(.timeLimit(.minutes(5)))
struct RequestTests {
    private static func answer(
        _ sent: String,
        limits: GatewayLimits = GatewayLimits(),
        _ backend: FakeBackend = FakeBackend()
    ) async throws -> String {
        var text = ""
        try await withGateway(backend, limits: limits) { port in
            let client = try await RawConnection.connect(port: port)
            // Who is closed already, because this machine was busy, is answered all the same.
            try? await client.send(sent)
            text = await client.readToEnd()
        }
        return text
    }

    @Test(arguments: [
        "rubbish\r\n\r\n", "\0\u{1}\u{2}\r\n\r\n", "GET / HTTP/9.9\r\n\r\n",
        "GET / HTTP/1.1\r\nbad header\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\u{fc}\u{3}\u{3}",
    ])
    func `what is no HTTP is refused and counted`(sent: String) async throws {
        let backend = FakeBackend()
        let text = try await Self.answer(sent, backend)
        #expect(text.hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
        #expect(backend.with { $0.refused } == ["http.malformed"])
    }

    @Test func `too many headers are refused`() async throws {
        let fields = (0..<200).map { "x-\($0): \(String(repeating: "a", count: 300))\r\n" }.joined()
        let text = try await Self.answer("GET / HTTP/1.1\r\nHost: localhost\r\n\(fields)\r\n")
        #expect(text.hasPrefix("HTTP/1.1 431 "))
    }

    @Test func `random bytes never stop the gateway`() async throws {
        let backend = FakeBackend()
        try await withGateway(backend) { port in
            var generator = SystemRandomNumberGenerator()
            for _ in 0..<60 {
                let client = try await RawConnection.connect(port: port)
                let bytes = (0..<300).map { _ in UInt8.random(in: 0...255, using: &generator) }
                try? await client.channel.writeAndFlush(ByteBuffer(bytes: bytes)).get()
                client.close()
            }
            #expect(try await Gateways.client(port).get("/api/v1/cluster").status == 200)
        }
    }

    @Test(arguments: ["/nothing", "/v1", "/v1/models/", "/api/v1/cluster/", "//"])
    func `an unknown path is 404 in JSON`(path: String) async throws {
        try await withGateway(FakeBackend()) { port in
            let answer = try await Gateways.client(port).get(path)
            #expect(answer.status == 404)
            #expect(answer.headers["content-type"] == "application/json")
            #expect(answer.text.contains(#""code":"unknown_path""#))
        }
    }

    @Test(arguments: [("/v1/completions", "POST"), ("/api/v1/launch", "POST")])
    func `a wrong method is 405 with the right ones`(path: String, allow: String) async throws {
        try await withGateway(FakeBackend()) { port in
            let answer = try await Gateways.client(port).get(path)
            #expect(answer.status == 405)
            #expect(answer.headers["allow"] == allow)
        }
    }

    @Test func `HEAD answers without a body`() async throws {
        let text = try await Self.answer(
            "HEAD /api/v1/cluster HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        #expect(text.hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(text.hasSuffix("\r\n\r\n"))
    }

    @Test func `a body over the limit is refused from its announcement or on the way`()
        async throws
    {
        var limits = GatewayLimits()
        limits.bodyByteLimit = 1000
        limits.lingerTimeLimit = .milliseconds(100)
        let head = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
        let announced = try await Self.answer(head + "Content-Length: 1001\r\n\r\n", limits: limits)
        let chunk = "3e8\r\n\(String(repeating: "x", count: 1000))\r\n"
        let chunked = try await Self.answer(
            head + "Transfer-Encoding: chunked\r\n\r\n" + chunk + "1\r\nx\r\n",
            limits: limits
        )
        for text in [announced, chunked] {
            #expect(text.hasPrefix("HTTP/1.1 413 "))
            #expect(text.lowercased().contains("connection: close"))
            #expect(text.contains("body_too_large"))
        }
    }

    @Test func `all bodies together are limited`() async throws {
        var limits = GatewayLimits()
        limits.heldBodyByteLimit = 100
        limits.lingerTimeLimit = .milliseconds(100)
        let text = try await Self.answer(
            "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200\r\n\r\n"
                + String(repeating: "x", count: 150),
            limits: limits
        )
        #expect(text.hasPrefix("HTTP/1.1 503 "))
        #expect(text.contains("too_busy"))
    }

    @Test func `a body that drips is refused with 408`() async throws {
        var limits = GatewayLimits()
        limits.bodyTimeLimit = .milliseconds(100)
        limits.lingerTimeLimit = .milliseconds(100)
        let backend = FakeBackend()
        let text = try await Self.answer(
            "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200\r\n\r\nx",
            limits: limits,
            backend
        )
        #expect(text.hasPrefix("HTTP/1.1 408 "))
        #expect(backend.with { $0.refused } == ["http.slowBody"])
    }

    @Test(arguments: ["", "GET / HT", "GET / HTTP/1.1\r\nHost"])
    func `a head that does not come closes the connection`(sent: String) async throws {
        var limits = GatewayLimits()
        limits.headTimeLimit = .milliseconds(100)
        #expect(try await Self.answer(sent, limits: limits) == "")
    }

    @Test func `a client that asks whether to go on is told so`() async throws {
        try await withGateway(FakeBackend()) { port in
            let client = try await RawConnection.connect(port: port)
            let body = #"{"model":"a.gguf"}"#
            try await client.send(
                "POST /api/v1/launch HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
                    + "Content-Length: \(body.utf8.count)\r\n\r\n"
            )
            #expect(await client.read(until: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
            try await client.send(body)
            #expect(await client.read(until: "accepted").contains("HTTP/1.1 202 Accepted\r\n"))
        }
    }

    @Test(arguments: [
        ("http://evil.example", 403), ("null", 403), ("http://127.0.0.1:1", 403),
        ("http://LOCALHOST:52415", 202),
    ])
    func `a page of another site cannot change anything`(origin: String, status: Int) async throws {
        let backend = FakeBackend()
        let text = try await Self.answer(
            "POST /api/v1/stop HTTP/1.1\r\nHost: localhost:52415\r\nOrigin: \(origin)\r\n"
                + "Content-Length: 0\r\nConnection: close\r\n\r\n",
            backend
        )
        #expect(text.hasPrefix("HTTP/1.1 \(status) "))
        #expect(backend.with { $0.stopCount } == (status == 202 ? 1 : 0))
    }

    @Test func `connections over the limit wait for a free place`() async throws {
        var limits = GatewayLimits()
        limits.connectionLimit = 2
        try await withGateway(FakeBackend(), limits: limits) { port in
            let request = "GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n"
            var first: [RawConnection] = []
            for _ in 0..<2 {
                let client = try await RawConnection.connect(port: port)
                try await client.send(request)
                await client.read(until: "list")
                first.append(client)
            }
            let third = try await RawConnection.connect(port: port)
            try await third.send(request)
            try await Task.sleep(for: .milliseconds(100))
            #expect(third.text == "")
            first.first?.close()
            #expect(await third.read(until: "list").hasPrefix("HTTP/1.1 200 OK"))
        }
    }

    @Test func `a taken port is told in words`() async throws {
        try await withGateway(FakeBackend()) { port in
            let second = GatewayServer(
                backend: FakeBackend(),
                host: "127.0.0.1",
                port: port,
                logger: Logger(label: "second")
            )
            await #expect(throws: GatewayServerError.portTaken(host: "127.0.0.1", port: port)) {
                try await second.run()
            }
        }
    }

    @Test func `stopping closes idle connections at once`() async throws {
        var idle: RawConnection?
        var limits = GatewayLimits()
        limits.shutdownTimeLimit = .minutes(10)
        let start = ContinuousClock.now
        try await withGateway(FakeBackend(), limits: limits) { port in
            let client = try await RawConnection.connect(port: port)
            try await client.send("GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await client.read(until: "list")
            idle = client
        }
        await idle?.readToEnd()
        #expect(ContinuousClock.now - start < .seconds(60))
    }
}
