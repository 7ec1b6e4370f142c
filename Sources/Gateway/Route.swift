import HTTPTypes

/// What a request asks for.
enum Route: Equatable {
    case dashboard
    case health
    case openAIModels
    case openAIModel(id: String)
    /// To be proxied to llama-server, under the same path.
    case completion(path: String)
    case cluster
    case events
    case network
    case modelFiles
    case launch
    case stop

    /// Finds the route, or the error that answers instead: 404 for an unknown path, 405 for a
    /// known one with another method.
    static func find(_ method: HTTPRequest.Method, _ target: String) throws(APIError) -> Route {
        let path = String(target.prefix { $0 != "?" })
        guard let route = Route(path: path) else {
            throw APIError(
                .notFound,
                "unknown_path",
                "Nothing is at this path. The API is under /v1 and /api/v1, the dashboard at /."
            )
        }
        guard route.methods.contains(method) else {
            let allow = route.methods.map(\.rawValue).joined(separator: ", ")
            throw APIError(
                .methodNotAllowed,
                "method_not_allowed",
                "\(path) takes \(allow), not \(method.rawValue).",
                allow: allow
            )
        }
        return route
    }

    private init?(path: String) {
        switch path {
        case "/": self = .dashboard
        case "/health": self = .health
        case "/v1/models": self = .openAIModels
        case "/v1/chat/completions", "/v1/completions": self = .completion(path: path)
        case "/api/v1/cluster": self = .cluster
        case "/api/v1/events": self = .events
        case "/api/v1/network": self = .network
        case "/api/v1/models": self = .modelFiles
        case "/api/v1/launch": self = .launch
        case "/api/v1/stop": self = .stop
        default:
            let prefix = "/v1/models/"
            guard path.hasPrefix(prefix), path.utf8.count > prefix.utf8.count else { return nil }
            self = .openAIModel(id: Self.percentDecoded(path.dropFirst(prefix.count)))
        }
    }

    private var methods: [HTTPRequest.Method] {
        switch self {
        case .dashboard, .health, .openAIModels, .openAIModel, .cluster, .events, .network,
            .modelFiles:
            [.get, .head]
        case .completion, .launch, .stop:
            [.post]
        }
    }

    /// Replaces `%2F` and the like; what is no escape stays as it is.
    private static func percentDecoded(_ text: Substring) -> String {
        var decoded: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2, rest.first != UInt8(ascii: "+"),
                let value = UInt8(Substring(rest.prefix(2)), radix: 16)
            {
                decoded.append(value)
                rest = rest.dropFirst(2)
            } else {
                decoded.append(byte)
            }
        }
        return String(decoding: decoded, as: UTF8.self)
    }
}
