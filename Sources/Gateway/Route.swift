import HTTPTypes

/// What a request asks for.
package enum Route: Equatable {
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
    /// One of them, its bytes.
    case modelFile(name: String)
    case logs
    case launch
    case stop
    case found
    case transfer
    case leave
    case drain

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

    package init?(path: String) {
        switch path {
        case "/": self = .dashboard
        case "/health": self = .health
        case "/v1/models": self = .openAIModels
        case "/v1/chat/completions", "/v1/completions": self = .completion(path: path)
        case "/api/v1/cluster": self = .cluster
        case "/api/v1/events": self = .events
        case "/api/v1/network": self = .network
        case "/api/v1/models": self = .modelFiles
        case "/api/v1/logs": self = .logs
        case "/api/v1/launch": self = .launch
        case "/api/v1/stop": self = .stop
        case "/api/v1/found": self = .found
        case "/api/v1/transfer": self = .transfer
        case "/api/v1/leave": self = .leave
        case "/api/v1/drain": self = .drain
        default:
            if let id = Self.rest(of: path, after: "/v1/models/") {
                self = .openAIModel(id: id)
            } else if let name = Self.rest(of: path, after: "/api/v1/models/") {
                self = .modelFile(name: name)
            } else {
                return nil
            }
        }
    }

    private static func rest(of path: String, after prefix: String) -> String? {
        guard path.hasPrefix(prefix), path.utf8.count > prefix.utf8.count else { return nil }
        return PercentEncoding.decoded(path.dropFirst(prefix.count))
    }

    private var methods: [HTTPRequest.Method] {
        switch self {
        case .dashboard, .health, .openAIModels, .openAIModel, .cluster, .events, .network,
            .modelFiles:
            [.get, .head]
        case .modelFile, .logs: [.get]
        case .completion, .launch, .stop, .found, .transfer, .leave, .drain:
            [.post]
        }
    }
}
