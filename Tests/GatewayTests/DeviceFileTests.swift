import Foundation
import Primitives
import Testing

@testable import Gateway

@Suite(.timeLimit(.minutes(5)))
struct DeviceFileTests {
    private static let other = "00000000000000000000000000000002"
    /// Larger than one block, so that a file comes in several.
    private static let bytes: [UInt8] = (0..<700_001).map { UInt8(truncatingIfNeeded: $0 &* 31) }

    private static func device(_ change: (inout FakeBackend.State) -> Void) -> FakeBackend {
        FakeBackend { state in
            state.status.members = [ClusterStatus.idle.`self`, other].enumerated().map {
                ClusterStatus.Member(
                    id: $1,
                    name: $0 == 0 ? "laptop" : "phone",
                    address: "127.0.0.2:52414",
                    state: "alive",
                    incarnation: 1,
                    role: "worker",
                    memory: ClusterStatus.Memory(total: 1, available: 1),
                    httpPort: 52415,
                    engine: ""
                )
            }
            change(&state)
        }
    }

    /// Runs an agent with the files, and another one that is asked for them.
    private func withTwo(
        _ use: (_ port: UInt16, _ asked: FakeBackend, _ owner: FakeBackend) async throws -> Void
    ) async throws {
        let owner = Self.device { state in
            state.status.`self` = Self.other
            state.files = ["large.gguf": Self.bytes]
            state.models = [ModelFile(name: "large.gguf", byteCount: UInt64(Self.bytes.count))]
            state.logLines = [#"{"id":"one"}"#, #"{"id":"two"}"#]
        }
        try await withGateway(owner) { ownerPort in
            let asked = Self.device { $0.ports = [.gateway: ownerPort] }
            try await withGateway(asked) { port in try await use(port, asked, owner) }
        }
    }

    private func fetch(
        _ port: UInt16,
        _ path: String,
        _ headers: [String: String] = [:]
    ) async throws -> (head: GatewayClient.Response, bytes: [UInt8]) {
        var head: GatewayClient.Response?
        var bytes: [UInt8] = []
        try await Gateways.client(port).read(path, headers: headers) {
            head = $0
        } onBytes: {
            bytes += $0
        }
        return (try #require(head), bytes)
    }

    @Test(arguments: ["phone", other])
    func `a model file comes whole, through another device`(device: String) async throws {
        try await withTwo { port, _, _ in
            let path = "/api/v1/models/large.gguf?device=\(device)"
            let (head, bytes) = try await fetch(port, path)
            #expect(head.status == 200)
            #expect(head.headers["content-length"] == "\(Self.bytes.count)")
            #expect(head.headers["etag"] == "\"v1\"")
            #expect(head.headers["accept-ranges"] == "bytes")
            #expect(bytes == Self.bytes)
        }
    }

    @Test func `the rest of a file is fetched, unless the file has changed`() async throws {
        try await withTwo { port, _, _ in
            let path = "/api/v1/models/large.gguf?device=phone"
            let range = ["range": "bytes=600000-", "if-range": "\"v1\""]
            let rest = try await fetch(port, path, range)
            #expect(rest.head.status == 206)
            #expect(rest.head.headers["content-range"] == "bytes 600000-700000/700001")
            #expect(rest.bytes == Array(Self.bytes[600_000...]))
            let changed = ["range": "bytes=600000-", "if-range": "\"v0\""]
            let whole = try await fetch(port, path, changed)
            #expect(whole.head.status == 200)
            #expect(whole.bytes == Self.bytes)
            await #expect(throws: GatewayClientError.self) {
                _ = try await fetch(port, path, ["range": "bytes=700001-"])
            }
        }
    }

    @Test(
        arguments: [
            (nil, ByteRange.whole), ("bytes=0-", .part(0..<100)), ("bytes=10-19", .part(10..<20)),
            ("bytes=90-200", .part(90..<100)), ("bytes=-10", .part(90..<100)),
            ("bytes=-200", .part(0..<100)), ("bytes=100-", .unsatisfiable),
            ("bytes=-0", .unsatisfiable), ("bytes=20-10", .whole), ("bytes=1-2,5-6", .whole),
            ("bytes=-", .whole), ("bytes=+1-2", .whole), ("items=1-2", .whole), ("bytes=1", .whole),
            ("bytes=a-b", .whole), ("bytes=0-18446744073709551615", .whole),
            ("bytes=99999999999999999999-", .whole),
            ("bytes=0-18446744073709551614", .part(0..<100)),
        ] as [(String?, ByteRange)]
    )
    func `a range of bytes`(field: String?, range: ByteRange) {
        #expect(ByteRange(field, of: 100) == range)
    }

    @Test(arguments: [
        ("/api/v1/models/none.gguf", 404, "model_not_found"),
        ("/api/v1/models/none.gguf?device=phone", 404, "model_not_found"),
        ("/api/v1/models/large.gguf?device=nobody", 404, "unknown_device"),
        ("/api/v1/logs?lines=many", 400, "bad_lines"),
        ("/api/v1/logs?lines=-1", 400, "bad_lines"),
        ("/api/v1/logs?level=loud", 400, "bad_level"),
        ("/api/v1/logs?device=nobody", 404, "unknown_device"),
    ])
    func `what is not there, or makes no sense, is told`(
        path: String,
        status: Int,
        code: String
    ) async throws {
        try await withTwo { port, _, _ in
            let answer = try await Gateways.client(port).get(path)
            #expect(answer.status == status)
            #expect(answer.text.contains(code))
        }
    }

    @Test func `the models of one device are listed`() async throws {
        try await withTwo { port, asked, _ in
            let answer = try await Gateways.client(port).get("/api/v1/models?device=phone")
            #expect(answer.status == 200)
            #expect(answer.text.contains(#""name":"large.gguf""#))
            let own = try await Gateways.client(port).get("/api/v1/models?device=laptop")
            #expect(own.text == #"{"models":[]}"#)
            #expect(asked.with { $0.asked } == ["gateway \(Self.other)"])
        }
    }

    @Test func `a log comes from the device that is named, with what was asked for`() async throws {
        try await withTwo { port, _, owner in
            let path = "/api/v1/logs?device=phone&lines=7&level=warning"
            let (head, bytes) = try await fetch(port, path)
            #expect(head.headers["content-type"] == "application/x-ndjson")
            #expect(
                String(decoding: bytes, as: UTF8.self) == """
                    {"id":"one"}
                    {"id":"two"}

                    """
            )
            #expect(owner.with { $0.asked } == ["log 7 warning false"])
        }
    }

    @Test func `a log that is followed goes on until the reader leaves`() async throws {
        struct Enough: Error {}
        try await withTwo { port, _, owner in
            var count = 0
            await #expect(throws: Enough.self) {
                try await Gateways.client(port).read("/api/v1/logs?device=phone&follow") { bytes in
                    count += bytes.count { $0 == UInt8(ascii: "\n") }
                    if count == 2 { throw Enough() }
                }
            }
            #expect(owner.with { $0.asked } == ["log 100 info true"])
        }
    }

    @Test func `logs and model files take an admin token`() async throws {
        struct Tokens: TokenVerifier {
            func kind(of token: String) -> TokenKind? { TokenKind(rawValue: token) }
        }
        let backend = Self.device { $0.files = ["large.gguf": Self.bytes] }
        try await withGateway(backend, tokens: Tokens()) { port in
            let endpoint = try #require(Endpoint("127.0.0.1:\(port)"))
            for path in ["/api/v1/logs", "/api/v1/models/large.gguf"] {
                let api = try await GatewayClient(endpoint: endpoint, token: "api").get(path)
                #expect(api.status == 403)
                #expect(api.text.contains("admin_token_needed"))
                let admin = try await GatewayClient(endpoint: endpoint, token: "admin").get(path)
                #expect(admin.status == 200)
            }
        }
    }

    @Test func `a query is read as browsers write it`() {
        let query = RequestQuery(of: "/x?device=a%20b%2Fc&follow&lines=3&lines=4&=5&level")
        #expect(query["device"] == "a b/c")
        #expect(query["lines"] == "3")
        #expect(query.isSet("follow"))
        #expect(!query.isSet("other"))
        #expect(RequestQuery(of: "/x")["device"] == nil)
        for text in ["kitchen", "a b/c?d&e=f%", "grüße"] {
            #expect(PercentEncoding.decoded(PercentEncoding.encoded(text)[...]) == text)
        }
    }
}
