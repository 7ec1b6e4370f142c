import Foundation
import Gateway
import Testing

@Suite(.timeLimit(.minutes(5)))
struct DeviceAPITests {
    private static let own = ClusterStatus.idle.`self`
    private static let other = "00000000000000000000000000000002"

    private func member(_ id: String, _ name: String, _ state: String = "alive")
        -> ClusterStatus.Member
    {
        ClusterStatus.Member(
            id: id,
            name: name,
            address: "127.0.0.2:52414",
            state: state,
            incarnation: 1,
            role: "worker",
            memory: ClusterStatus.Memory(total: 1, available: 1),
            httpPort: 52415,
            engine: ""
        )
    }

    private func backend(_ change: @escaping (inout FakeBackend.State) -> Void = { _ in })
        -> FakeBackend
    {
        FakeBackend { state in
            state.status.members = [
                member(Self.own, "laptop"), member(Self.other, "phone"),
                member("00000000000000000000000000000003", "twin"),
                member("00000000000000000000000000000004", "twin"),
                member("00000000000000000000000000000005", "old", "dead"),
            ]
            change(&state)
        }
    }

    private func post(_ port: UInt16, _ path: String, _ json: String) async throws
        -> GatewayClient.Response
    {
        try await Gateways.client(port).post(path, json: Array(json.utf8))
    }

    @Test func `a device is found by its name or its node, and told of by both`() async throws {
        let backend = backend()
        try await withGateway(backend) { port in
            for name in ["phone", Self.other] {
                let answer = try await post(port, "/api/v1/transfer", #"{"to":"\#(name)"}"#)
                #expect(answer.status == 200)
                #expect(answer.text.contains(#""status":"transferred""#))
                #expect(answer.text.contains(#""name":"phone""#))
                #expect(answer.text.contains(Self.other))
            }
        }
        #expect(backend.with { $0.asked } == ["transfer \(Self.other)", "transfer \(Self.other)"])
    }

    @Test(arguments: [
        ("nobody", 404, "unknown_device"), ("old", 404, "unknown_device"),
        ("twin", 409, "ambiguous_device"),
    ])
    func `a name that means no device, or several, changes nothing`(
        name: String,
        status: Int,
        code: String
    ) async throws {
        let backend = backend()
        try await withGateway(backend) { port in
            for (path, key) in [
                ("transfer", "to"), ("leave", "device"), ("drain", "device"),
            ] {
                let answer = try await post(port, "/api/v1/\(path)", #"{"\#(key)":"\#(name)"}"#)
                #expect(answer.status == status)
                #expect(answer.text.contains(code))
            }
        }
        #expect(backend.with { $0.asked }.isEmpty)
    }

    @Test func `leaving and draining without a name mean the agent that is asked`() async throws {
        let backend = backend()
        try await withGateway(backend) { port in
            let left = try await post(port, "/api/v1/leave", "")
            #expect(left.status == 200)
            #expect(left.text.contains(#""notes":["it rains"]"#))
            let drained = try await post(port, "/api/v1/drain", "{}")
            #expect(drained.text.contains(#""status":"drained""#))
            let undone = try await post(port, "/api/v1/drain", #"{"drained":false}"#)
            #expect(undone.text.contains(#""status":"undrained""#))
        }
        #expect(backend.with { $0.asked } == ["leave", "drain true", "drain false"])
    }

    @Test func `what is meant for another device is passed on to it, once`() async throws {
        let target = FakeBackend { state in
            state.status.`self` = Self.other
            state.status.members = [member(Self.own, "laptop"), member(Self.other, "phone")]
        }
        try await withGateway(target) { targetPort in
            let asked = backend { $0.ports = [.gateway: targetPort] }
            try await withGateway(asked) { port in
                let answer = try await post(port, "/api/v1/leave", #"{"device":"phone"}"#)
                #expect(answer.status == 200)
                #expect(answer.text.contains(#""name":"phone""#))
            }
            #expect(asked.with { $0.asked } == ["gateway \(Self.other)"])
        }
        #expect(target.with { $0.asked } == ["leave"])
    }

    @Test func `a refusal says why, with a code for programs`() async throws {
        let refusal = GatewayRefusal.conflict(
            code: "transfer_hasNoEngine",
            message: "phone has no llama.cpp"
        )
        try await withGateway(backend { $0.refusal = refusal }) { port in
            let answer = try await post(port, "/api/v1/transfer", #"{"to":"phone"}"#)
            #expect(answer.status == 409)
            #expect(answer.text.contains("transfer_hasNoEngine"))
            #expect(answer.text.contains("phone has no llama.cpp"))
            let found = try await post(port, "/api/v1/found", "")
            #expect(found.status == 409)
        }
    }

    @Test(arguments: [("transfer", "{}"), ("leave", "[1]"), ("drain", #"{"drained":3}"#)])
    func `a body that makes no sense is refused`(path: String, body: String) async throws {
        let backend = backend()
        try await withGateway(backend) { port in
            let answer = try await post(port, "/api/v1/\(path)", body)
            #expect(answer.status == 400)
            #expect(answer.text.contains("invalid_json"))
        }
        #expect(backend.with { $0.asked }.isEmpty)
    }
}
