import HTTPTypes
import NIOHTTP1

/// An error as OpenAI's clients expect it: `{"error":{"message","type","param":null,"code"}}`.
///
/// The message is for people: what is going on, and what to do next.
struct APIError: Error, Equatable {
    var status: HTTPResponse.Status
    var code: String
    var message: String
    /// When to try again, in seconds, if that may help.
    var retryAfterSeconds: Int?
    /// The methods that the path takes, for 405.
    var allow: String?

    init(
        _ status: HTTPResponse.Status,
        _ code: String,
        _ message: String,
        retryAfterSeconds: Int? = nil,
        allow: String? = nil
    ) {
        self.status = status
        self.code = code
        self.message = message
        self.retryAfterSeconds = retryAfterSeconds
        self.allow = allow
    }

    var fields: HTTPFields {
        var fields = HTTPFields()
        if let retryAfterSeconds { fields[.retryAfter] = "\(retryAfterSeconds)" }
        if let allow { fields[.allow] = allow }
        if status == .unauthorized { fields[.wwwAuthenticate] = "Bearer" }
        return fields
    }

    private var type: String {
        switch status.code {
        case 503: "service_unavailable"
        case 500...: "server_error"
        default: "invalid_request_error"
        }
    }
}

extension APIError: Encodable {
    private enum OuterKey: CodingKey { case error }
    private enum Key: CodingKey { case message, type, param, code }

    func encode(to encoder: any Encoder) throws {
        var outer = encoder.container(keyedBy: OuterKey.self)
        var error = outer.nestedContainer(keyedBy: Key.self, forKey: .error)
        try error.encode(message, forKey: .message)
        try error.encode(type, forKey: .type)
        try error.encodeNil(forKey: .param)
        try error.encode(code, forKey: .code)
    }
}

extension APIError {
    init(_ refusal: GatewayRefusal) {
        switch refusal {
        case .noMaster:
            self.init(
                .serviceUnavailable,
                "no_master",
                "No master yet: the agents are electing one. Try again in a few seconds.",
                retryAfterSeconds: 2
            )
        case .notMaster(let master):
            self.init(
                .serviceUnavailable,
                "not_master",
                """
                This agent is not the master (\(master) is), and the agents do not agree yet. \
                Try again in a few seconds.
                """,
                retryAfterSeconds: 2
            )
        case .noModel(let phase, let message):
            self = .notReady(phase: phase, message: message)
        case .badModel(let message):
            self.init(.badRequest, "bad_model", message)
        case .unreachable(let message):
            self.init(
                .serviceUnavailable,
                "master_unreachable",
                "The master could not be reached: \(message)",
                retryAfterSeconds: 2
            )
        }
    }

    /// No model answers, with what the cluster is doing about it.
    static func notReady(phase: String?, message: String) -> APIError {
        let hint = "Launch one on the dashboard or with `caravan launch MODEL`."
        let text: String
        switch phase {
        case nil:
            text = message.isEmpty ? "No model is running." : message
        case "failed":
            text = "The model failed: \(message)"
        case .some(let phase):
            return APIError(
                .serviceUnavailable,
                "model_not_ready",
                "The model is not ready yet (\(phase)): \(message)",
                retryAfterSeconds: 5
            )
        }
        return APIError(
            .serviceUnavailable,
            phase == nil ? "no_model" : "model_failed",
            text.contains("aunch") ? text : "\(text) \(hint)",
            retryAfterSeconds: 30
        )
    }

    /// The master's llama-server, or its gateway, went away while it was being asked.
    static func masterLost(_ what: String) -> APIError {
        APIError(
            .badGateway,
            "upstream_lost",
            """
            \(what) went away before it finished the answer. The cluster starts it again by \
            itself: try again in a few seconds.
            """,
            retryAfterSeconds: 5
        )
    }

    /// What was received is no HTTP, or more of it than is taken.
    static func malformed(_ error: HTTPParserError) -> APIError {
        if error == .headerOverflow {
            return APIError(
                .requestHeaderFieldsTooLarge,
                "headers_too_large",
                "The request's headers are too large."
            )
        }
        return APIError(.badRequest, "malformed_http", "This is no valid HTTP request (\(error)).")
    }

    /// The agent was told to stop.
    static let stopping = APIError(
        .serviceUnavailable,
        "agent_stopping",
        "This agent is stopping. Ask another agent of the cluster.",
        retryAfterSeconds: 5
    )
}
