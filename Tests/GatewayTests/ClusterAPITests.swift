import Foundation
import Gateway
import NIOCore
import Testing

@Suite(.timeLimit(.minutes(5)))
struct ClusterAPITests {
    @Test func `the cluster is given as JSON that reads back`() async throws {
        let status = ClusterStatus.model("loading", "a/b")
        try await withGateway(FakeBackend { $0.status = status }) { port in
            let answer = try await Gateways.client(port).get("/api/v1/cluster")
            #expect(answer.status == 200)
            let read = try JSONDecoder().decode(ClusterStatus.self, from: Data(answer.body))
            #expect(read == status)
            #expect(answer.text.hasPrefix(#"{"ballot":{"node":"#))
        }
    }

    @Test func `events give the status on connect and after each change`() async throws {
        let backend = FakeBackend()
        try await withGateway(backend) { port in
            var events = try Gateways.client(port).stream("/api/v1/events").makeAsyncIterator()
            let first = try await events.next()
            #expect(first?.event == "status")
            #expect(first?.data.contains(#""cluster":"home""#) == true)
            backend.publish(.model("loading"))
            #expect(try await events.next()?.data.contains("loading") == true)
            backend.publish(.model("loading"))
            backend.publish(.model("ready"))
            #expect(try await events.next()?.data.contains("ready") == true)
        }
    }

    @Test func `a slow reader of events skips states and still gets the newest`() async throws {
        let backend = FakeBackend()
        try await withGateway(backend) { port in
            let client = try await RawConnection.connect(port: port, receiveBuffer: 8 << 10)
            try await client.send("GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await client.read(until: "event: status")
            try await client.setReading(false)
            // More than the kernel's buffers between the two can hold.
            let filler = String(repeating: "z", count: 128 << 10)
            for index in 0..<100 {
                backend.publish(.model("loading", "\(index) \(filler)"))
                try await Task.sleep(for: .milliseconds(1))
            }
            backend.publish(.model("ready"))
            try await client.setReading(true)
            let text = await client.read(until: #""phase":"ready""#)
            #expect(text.components(separatedBy: "event: status").count < 90)
        }
    }

    @Test func `silent events beat, and a client that goes ends its subscription`() async throws {
        var limits = GatewayLimits()
        limits.heartbeatInterval = .milliseconds(20)
        let backend = FakeBackend()
        try await withGateway(backend, limits: limits) { port in
            let client = try await RawConnection.connect(port: port)
            try await client.send("GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await client.read(until: ": alive\n\n\r\n9\r\n: alive\n\n")
            #expect(backend.with { $0.watchers.count } == 1)
            client.close()
            while backend.with({ $0.watchers.count }) > 0 {
                try await Task.sleep(for: .milliseconds(2))
            }
        }
    }

    @Test func `stopping the gateway ends event streams`() async throws {
        var client: RawConnection?
        var limits = GatewayLimits()
        limits.shutdownTimeLimit = .minutes(10)
        let start = ContinuousClock.now
        try await withGateway(FakeBackend(), limits: limits) { port in
            let connection = try await RawConnection.connect(port: port)
            try await connection.send("GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await connection.read(until: "event: status")
            client = connection
        }
        #expect(await client?.readToEnd().hasSuffix("0\r\n\r\n") == true)
        #expect(ContinuousClock.now - start < .seconds(60))
    }

    @Test func `the master launches and stops by itself`() async throws {
        let backend = FakeBackend()
        try await withGateway(backend) { port in
            let client = try Gateways.client(port)
            let body = Array(#"{"model":"tiny.gguf","context":2048}"#.utf8)
            let launched = try await client.post("/api/v1/launch", json: body)
            #expect(launched.status == 202)
            #expect(launched.text == #"{"model":"tiny.gguf","status":"accepted"}"#)
            #expect(
                backend.with { $0.launched } == [LaunchRequest(model: "tiny.gguf", context: 2048)]
            )
            #expect(try await client.post("/api/v1/stop", json: []).status == 202)
            #expect(backend.with { $0.stopCount } == 1)
        }
    }

    @Test(arguments: ["", "{}", #"{"model":""}"#, #"{"model":"a","context":0}"#, "[]"])
    func `a bad launch is refused`(body: String) async throws {
        let backend = FakeBackend()
        try await withGateway(backend) { port in
            let answer = try await Gateways.client(port)
                .post("/api/v1/launch", json: Array(body.utf8))
            #expect(answer.status == 400)
            #expect(backend.with { $0.launched }.isEmpty)
        }
    }

    @Test func `a model that does not fit is told to the one who launches it`() async throws {
        let backend = FakeBackend { $0.refusal = .badModel(message: "it needs 9 GiB") }
        try await withGateway(backend) { port in
            let answer = try await Gateways.client(port)
                .post("/api/v1/launch", json: Array(#"{"model":"a"}"#.utf8))
            #expect(answer.status == 400)
            #expect(answer.text.contains("it needs 9 GiB"))
        }
    }

    @Test func `another agent passes launch, stop and models on to the master`() async throws {
        let master = FakeBackend { $0.models = [ModelFile(name: "m.gguf", byteCount: 7)] }
        try await withGateway(master) { masterPort in
            let other = FakeBackend {
                $0.isMaster = false
                $0.status.`self` = "2"
                $0.ports = [.gateway: masterPort]
            }
            try await withGateway(other) { port in
                let client = try Gateways.client(port)
                let body = Array(#"{"model":"m.gguf"}"#.utf8)
                #expect(try await client.post("/api/v1/launch", json: body).status == 202)
                #expect(
                    master.with { $0.launched } == [LaunchRequest(model: "m.gguf", context: nil)]
                )
                #expect(try await client.post("/api/v1/stop", json: []).status == 202)
                let models = try await client.get("/api/v1/models")
                #expect(models.text == #"{"models":[{"byteCount":7,"name":"m.gguf"}]}"#)
            }
        }
    }

    @Test func `agents that each take the other for the master do not loop`() async throws {
        let first = FakeBackend { $0.isMaster = false }
        let second = FakeBackend { $0.isMaster = false }
        try await withGateway(first) { firstPort in
            try await withGateway(second) { secondPort in
                first.with { $0.ports = [.gateway: secondPort] }
                second.with { $0.ports = [.gateway: firstPort] }
                let answer = try await Gateways.client(firstPort)
                    .post("/api/v1/launch", json: Array(#"{"model":"a"}"#.utf8))
                #expect(answer.status == 503)
                #expect(answer.text.contains(#""code":"not_master""#))
                #expect(answer.headers["retry-after"] == "2")
            }
        }
    }

    @Test func `a master's gateway that dies becomes 502`() async throws {
        let gateway = try await ScriptedServer()
        defer { gateway.close() }
        let backend = FakeBackend {
            $0.isMaster = false
            $0.ports = [.gateway: gateway.port]
        }
        try await withGateway(backend) { port in
            async let answer = try Gateways.client(port)
                .post("/api/v1/launch", json: Array(#"{"model":"a"}"#.utf8))
            let call = try await gateway.nextCall()
            #expect(call.text.contains("Caravan-Hop: 1"))
            call.close()
            #expect(try await answer.status == 502)
        }
    }

    @Test func `models are listed in OpenAI's shape`() async throws {
        let backend = FakeBackend()
        try await withGateway(backend) { port in
            let client = try Gateways.client(port)
            #expect(try await client.get("/v1/models").text == #"{"data":[],"object":"list"}"#)
            backend.publish(.model("ready", name: "a/b c.gguf"))
            let list = try await client.get("/v1/models").text
            #expect(list.contains(#""id":"a/b c.gguf""#))
            #expect(list.contains(#""owned_by":"caravan""#))
            #expect(try await client.get("/v1/models/a%2Fb%20c.gguf").status == 200)
            #expect(try await client.get("/v1/models/other").status == 404)
        }
    }

    @Test func `health is ok only when the model is ready`() async throws {
        let backend = FakeBackend()
        try await withGateway(backend) { port in
            let client = try Gateways.client(port)
            for status in [ClusterStatus.idle, .model("loading", "40 %"), .model("failed", "x")] {
                backend.publish(status)
                let answer = try await client.get("/health")
                #expect(answer.status == 503)
                #expect(answer.text.contains(#""error":{"#))
                #expect(answer.text.contains(#""status":"\#(status.model?.phase ?? "no_model")""#))
            }
            backend.publish(.model("ready"))
            #expect(try await client.get("/health").text == #"{"status":"ok"}"#)
        }
    }

    @Test func `the dashboard comes with a policy that lets only its own script run`() async throws
    {
        try await withGateway(FakeBackend()) { port in
            let page = try await Gateways.client(port).get("/")
            #expect(page.status == 200)
            let policy = page.headers["content-security-policy"] ?? ""
            let nonce = policy.components(separatedBy: "'nonce-").dropFirst().first?
                .components(separatedBy: "'").first
            #expect(policy.contains("default-src 'none'"))
            #expect(page.text.contains("<script nonce=\"\(nonce ?? "?")\">"))
            #expect(!page.text.contains("{{"))
            for id in ["launch", "stop", "model", "phase", "chat-input", "chat-send", "chat-log"] {
                #expect(page.text.contains("id=\"\(id)\""))
            }
            #expect(!page.text.contains("innerHTML"))
            #expect(!page.text.contains("https://"))
        }
    }

    @Test func `an answer that does not end in time is told apart from one that breaks off`()
        async throws
    {
        try await withGateway(FakeBackend()) { port in
            let error = await #expect(throws: GatewayClientError.self) {
                // Events never end by themselves.
                _ = try await Gateways.client(port)
                    .get("/api/v1/events", timeLimit: .milliseconds(500))
            }
            #expect(
                "\(error.map { "\($0)" } ?? "")"
                    == "the agent at 127.0.0.1:\(port) did not answer within 0.5 s"
            )
        }
    }

    @Test func `a question that got no answer is asked once more, and nothing else is`()
        async throws
    {
        let gateway = try await ScriptedServer()
        defer { gateway.close() }
        let client = try Gateways.client(gateway.port)
        async let answer = client.get("/api/v1/cluster")
        let first = try await gateway.next()
        await first.read(until: "\r\n\r\n")
        first.close()
        let second = try await gateway.next()
        await second.read(until: "\r\n\r\n")
        try await second.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        #expect(try await answer.text == "{}")
        second.close()

        let order = Task { try await client.post("/api/v1/stop", json: Array("{}".utf8)) }
        try await gateway.nextCall().close()
        let error = await #expect(throws: GatewayClientError.self) { _ = try await order.value }
        let isCut = if case .cut? = error { true } else { false }
        #expect(isCut, "\(String(describing: error))")
    }

    @Test func `a client without an agent is told how to start one`() async throws {
        // Below the ports that the system hands out: another test cannot get it meanwhile.
        let closedPort: UInt16 = 9
        let error = await #expect(throws: GatewayClientError.self) {
            _ = try await Gateways.client(closedPort).get("/health")
        }
        #expect(
            "\(error.map { "\($0)" } ?? "")"
                == "nothing listens at 127.0.0.1:\(closedPort): is the agent running? "
                + "start one with `caravan agent`"
        )
    }
}
