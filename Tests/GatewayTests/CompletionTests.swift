import Foundation
import Gateway
import NIOCore
import Testing

@Suite(.timeLimit(.minutes(5)))
struct CompletionTests {
    private static let streamHead =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

    /// A chat request as a client writes it.
    static func request(_ body: String = #"{"stream":true}"#) -> String {
        """
        POST /v1/chat/completions HTTP/1.1\r
        Host: 127.0.0.1\r
        Content-Type: application/json\r
        Content-Length: \(body.utf8.count)\r
        \r
        \(body)
        """
    }

    static func chunk(_ text: String) -> String {
        "\(String(text.utf8.count, radix: 16))\r\n\(text)\r\n"
    }

    private static func withProxy(
        limits: GatewayLimits = GatewayLimits(),
        _ use: (RawConnection, ScriptedServer) async throws -> Void
    ) async throws {
        let upstream = try await ScriptedServer()
        defer { upstream.close() }
        let backend = FakeBackend {
            $0.status = .model("ready")
            $0.ports = [.llamaServer: upstream.port]
        }
        try await withGateway(backend, limits: limits) { port in
            try await use(try await RawConnection.connect(port: port), upstream)
        }
    }

    @Test func `a stream passes event by event, before the next one is made`() async throws {
        try await Self.withProxy { client, upstream in
            try await client.send(Self.request())
            let call = try await upstream.nextCall()
            #expect(call.text.hasPrefix("POST /v1/chat/completions HTTP/1.1\r\n"))
            #expect(call.text.contains("connection: close"))
            #expect(call.text.hasSuffix(#"{"stream":true}"#))
            try await call.send(Self.streamHead)
            for index in 0..<5 {
                try await call.send(Self.chunk("data: {\"n\":\(index)}\n\n"))
                await client.read(until: "{\"n\":\(index)}\n\n")
                #expect(client.text.contains("{\"n\":\(index)}\n\n"))
            }
            try await call.send(Self.chunk("data: [DONE]\n\n") + "0\r\n\r\n")
            let text = await client.read(until: "0\r\n\r\n")
            #expect(text.hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(text.lowercased().contains("content-type: text/event-stream"))
            #expect(!text.contains("error"))
        }
    }

    @Test func `half an event waits for its other half`() async throws {
        try await Self.withProxy { client, upstream in
            try await client.send(Self.request())
            let call = try await upstream.nextCall()
            try await call.send(Self.streamHead + Self.chunk("data: 1\n\ndata: ha"))
            await client.read(until: "data: 1\n\n")
            #expect(!client.text.contains("ha"))
            try await call.send(Self.chunk("lf\n\n"))
            #expect(await client.read(until: "half").contains("data: half\n\n"))
        }
    }

    @Test(arguments: [true, false])
    func `a client that goes takes its upstream connection with it`(isReset: Bool) async throws {
        try await Self.withProxy { client, upstream in
            try await client.send(Self.request())
            let call = try await upstream.nextCall()
            try await call.send(Self.streamHead + Self.chunk("data: 1\n\n"))
            await client.read(until: "data: 1")
            let start = ContinuousClock.now
            if isReset { try await client.reset() } else { client.close() }
            await call.readToEnd()
            // Otherwise it would last as long as the generation, which never ends here.
            #expect(ContinuousClock.now - start < .seconds(20))
        }
    }

    @Test func `a client that goes before the first token takes its upstream connection with it`()
        async throws
    {
        try await Self.withProxy { client, upstream in
            try await client.send(Self.request())
            let call = try await upstream.nextCall()
            let start = ContinuousClock.now
            client.close()
            await call.readToEnd()
            // Otherwise it would last as long as the generation, which never ends here.
            #expect(ContinuousClock.now - start < .seconds(20))
        }
    }

    @Test func `an upstream that dies in a stream leaves an error event after whole events`()
        async throws
    {
        try await Self.withProxy { client, upstream in
            try await client.send(Self.request())
            let call = try await upstream.nextCall()
            try await call.send(Self.streamHead + Self.chunk("data: 1\n\ndata: {\"half"))
            await client.read(until: "data: 1\n\n")
            call.close()
            let text = await client.read(until: "0\r\n\r\n")
            #expect(text.contains("data: {\"error\":{\"code\":\"upstream_lost\""))
            #expect(text.contains(#""param":null"#))
            #expect(!text.contains("half"))
        }
    }

    @Test func `an unframed stream is complete only after its DONE`() async throws {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        for (rest, isComplete) in [("data: [DONE]\n\n", true), ("", false)] {
            try await Self.withProxy { client, upstream in
                try await client.send(Self.request())
                let call = try await upstream.nextCall()
                try await call.send(head + "data: 1\n\n" + rest)
                await client.read(until: rest.isEmpty ? "data: 1" : "DONE")
                call.close()
                let text = await client.read(until: "0\r\n\r\n")
                #expect(text.contains("upstream_lost") == !isComplete)
            }
        }
    }

    @Test(arguments: ["", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{\"a", "rubbish\r\n\r\n"])
    func `an upstream that dies in a plain answer becomes 502`(sent: String) async throws {
        try await Self.withProxy { client, upstream in
            try await client.send(Self.request("{}"))
            let call = try await upstream.nextCall()
            if !sent.isEmpty { try await call.send(sent) }
            call.close()
            let text = await client.read(until: "}}")
            #expect(text.hasPrefix("HTTP/1.1 502 Bad Gateway\r\n"))
            #expect(text.contains(#""code":"upstream_lost""#))
        }
    }

    @Test func `a plain answer passes whole, and the connection serves the next`() async throws {
        try await Self.withProxy { client, upstream in
            for round in 0..<3 {
                try await client.send(Self.request("{}"))
                let call = try await upstream.nextCall()
                try await call.send(
                    "HTTP/1.1 400 Bad Request\r\nContent-Length: 11\r\n\r\n{\"round\":\(round)}"
                )
                let text = await client.read(until: "{\"round\":\(round)}")
                #expect(text.hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
                await call.readToEnd()
            }
        }
    }

    @Test func `a large plain answer is streamed`() async throws {
        var limits = GatewayLimits()
        limits.heldResponseByteLimit = 1000
        try await Self.withProxy(limits: limits) { client, upstream in
            try await client.send(Self.request("{}"))
            let call = try await upstream.nextCall()
            let piece = String(repeating: "x", count: 1500)
            try await call.send("HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n" + piece)
            #expect(await client.read(until: piece).contains("\r\n\r\n" + piece))
            try await call.send(piece)
            await client.read(until: piece + piece)
            #expect(client.text.lowercased().contains("content-length: 3000"))
        }
    }

    @Test func `an upstream is not read faster than the client reads`() async throws {
        let upstream = try await ScriptedServer()
        defer { upstream.close() }
        let backend = FakeBackend { $0.ports = [.llamaServer: upstream.port] }
        try await withGateway(backend) { port in
            let client = try await RawConnection.connect(port: port, receiveBuffer: 16 << 10)
            try await client.send(Self.request())
            let call = try await upstream.nextCall()
            try await client.setReading(false)
            try await call.send(Self.streamHead)
            // Kernel buffers of four sockets and two watermarks hold far less than this.
            let event = Self.chunk("data: \(String(repeating: "y", count: 64 << 10))\n\n")
            let eventCount = 1024
            let sent = call.channel.write(
                ByteBuffer(string: String(repeating: event, count: eventCount))
            )
            call.channel.flush()
            let isHeldBack = await withTaskGroup(of: Bool.self) { group in
                group.addTask {
                    try? await sent.get()
                    return false
                }
                group.addTask {
                    try? await Task.sleep(for: .milliseconds(400))
                    return true
                }
                let first = await group.next() ?? false
                if first { client.close() }
                return first
            }
            #expect(isHeldBack)
        }
    }

    @Test func `a body that is no JSON object is refused`() async throws {
        try await Self.withProxy { client, _ in
            for body in ["{", "[1]", "", "hello"] {
                try await client.send(Self.request(body))
            }
            try await client.send(
                "GET /none HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            )
            let text = await client.readToEnd()
            #expect(text.components(separatedBy: "HTTP/1.1 400 Bad Request").count == 5)
            #expect(text.contains("invalid_json"))
        }
    }

    @Test func `without a ready model the answer says what goes on and when to come back`()
        async throws
    {
        let cases: [(GatewayRefusal, String)] = [
            (.noModel(phase: "loading", message: "weights: 40 %"), "weights: 40 %"),
            (.noModel(phase: nil, message: ""), "caravan launch"),
            (.noMaster, "electing"),
            (.unreachable(message: "no route"), "no route"),
        ]
        for (refusal, words) in cases {
            try await withGateway(FakeBackend { $0.refusal = refusal }) { port in
                let answer = try await Gateways.client(port)
                    .post("/v1/completions", json: Array("{}".utf8))
                #expect(answer.status == 503)
                #expect(answer.headers["retry-after"] != nil)
                #expect(answer.text.contains(words))
                #expect(answer.text.hasPrefix(#"{"error":{"code":"#))
                #expect(answer.text.contains(#""type":"service_unavailable""#))
            }
        }
    }

    @Test func `stopping the gateway ends a stream with an error event`() async throws {
        let upstream = try await ScriptedServer()
        defer { upstream.close() }
        let backend = FakeBackend { $0.ports = [.llamaServer: upstream.port] }
        var client: RawConnection?
        var call: RawConnection?
        try await withGateway(backend) { port in
            let connection = try await RawConnection.connect(port: port)
            try await connection.send(Self.request())
            let upstreamCall = try await upstream.nextCall()
            try await upstreamCall.send(Self.streamHead + Self.chunk("data: 1\n\n"))
            await connection.read(until: "data: 1")
            (client, call) = (connection, upstreamCall)
        }
        let text = await client?.readToEnd() ?? ""
        #expect(text.contains("agent_stopping"))
        #expect(text.hasSuffix("0\r\n\r\n"))
        await call?.readToEnd()
    }
}
