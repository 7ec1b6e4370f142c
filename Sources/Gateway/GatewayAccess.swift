import HTTPTypes
import NIOCore
import Primitives

/// What a token allows.
package enum TokenKind: String, Codable, Sendable, CaseIterable {
    /// To use the model and to see the cluster.
    case api
    /// That, and to change what the cluster runs.
    case admin
}

/// Knows which tokens count at this agent.
package protocol TokenVerifier: Sendable {
    /// What the token allows; nil if there is no such token.
    func kind(of token: String) -> TokenKind?
}

/// An agent for which nobody has made tokens.
package struct NoTokens: TokenVerifier {
    package init() {}

    package func kind(of token: String) -> TokenKind? { nil }
}

/// Who may ask what.
///
/// Whoever sits at this machine may do everything without a token; from anywhere else a token is
/// needed. Browsers are the reason for the rest: a page of another site can make them send
/// requests to this machine, by its address or, with a name of its own that suddenly means
/// 127.0.0.1 (DNS rebinding), even read the answers.
struct GatewayAccess: Sendable {
    let tokens: any TokenVerifier
    /// Whether callers on other machines need no token either.
    let isOpen: Bool

    /// Where a request comes from.
    struct Caller: Equatable, Sendable {
        var peer: IPAddress?
        /// The address of this machine that the caller connected to.
        var local: IPAddress?

        /// Whether the other end is a program on this machine.
        ///
        /// It also is if it comes from the very address that it connected to: nobody else gets
        /// an answer there.
        var isOnThisMachine: Bool {
            guard let peer else { return false }
            return peer.unmapped.isLoopback || peer == local
        }
    }

    /// Refuses a request that its sender may not make.
    func check(
        _ head: HTTPRequest,
        for route: Route,
        from caller: Caller
    ) throws(APIError) {
        // The first one is the authority.
        if let host = HTTPField.Name("Host"), head.headerFields[host] != nil {
            throw .ambiguousHost
        }
        try refuseCrossSite(head, route)
        // The page itself tells nothing, and has to be there for somebody to log in.
        guard let needed = route.access else { return }
        let bearer = Self.bearer(head)
        switch bearer.flatMap({ tokens.kind(of: $0) }) {
        case .admin?: return
        case .api?:
            guard needed == .api else { throw .adminTokenNeeded }
        case nil:
            guard isOpen || (caller.isOnThisMachine && !Self.isForwarded(head)) else {
                throw bearer == nil ? .tokenNeeded : .tokenUnknown
            }
            guard Self.isUnmistakable(head.authority) else {
                throw .hostNotAllowed(at: caller.local)
            }
        }
    }

    /// Refuses what another site's page makes a browser send.
    private func refuseCrossSite(_ head: HTTPRequest, _ route: Route) throws(APIError) {
        if let origin = head.headerFields[.origin] {
            let host = origin.firstRange(of: "://").map { origin[$0.upperBound...] }
            guard let host, let authority = head.authority,
                host.lowercased() == authority.lowercased()
            else { throw .crossOrigin(from: String(origin.prefix(200))) }
        }
        // Links of other sites to the dashboard are fine; images and scripts that point here are
        // not, and come without an origin.
        if route != .dashboard, let site = HTTPField.Name("Sec-Fetch-Site"),
            head.headerFields[site]?.lowercased() == "cross-site"
        {
            throw .crossOrigin(from: "another site")
        }
    }

    /// The token in `Authorization: Bearer …`, as OpenAI's clients send it.
    private static func bearer(_ head: HTTPRequest) -> String? {
        guard let field = head.headerFields[.authorization] else { return nil }
        let parts = field.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
        return String(parts[1].drop { $0 == " " })
    }

    /// A proxy on this machine speaks for somebody elsewhere, and says so.
    private static func isForwarded(_ head: HTTPRequest) -> Bool {
        ["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via"].contains { name in
            HTTPField.Name(name).map { head.headerFields[$0] != nil } ?? false
        }
    }

    /// Whether a `Host` cannot be another site's name that was made to mean this machine: it is
    /// an address, or `localhost`, which browsers never look up.
    static func isUnmistakable(_ authority: String?) -> Bool {
        guard let authority else { return true }
        // Some clients leave an IPv6 address its zone (`fe80::7%wlan0`).
        let host = hostName(authority).prefix { $0 != "%" }.lowercased()
        return host == "localhost" || host.hasSuffix(".localhost") || IPAddress(host) != nil
    }

    /// Without the port, and without the brackets of an IPv6 address.
    private static func hostName(_ authority: String) -> Substring {
        if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") {
            return authority[authority.index(after: authority.startIndex)..<end]
        }
        guard let colon = authority.lastIndex(of: ":") else { return authority[...] }
        return authority[..<colon]
    }
}

extension Route {
    /// The least that a token must allow; nil if none is needed.
    var access: TokenKind? {
        switch self {
        case .dashboard: nil
        case .health, .openAIModels, .openAIModel, .completion, .cluster, .events, .network,
            .modelFiles:
            .api
        case .launch, .stop, .found, .transfer, .leave, .drain, .logs, .modelFile: .admin
        }
    }
}

extension IPAddress {
    /// The IPv4 address inside an IPv6 one such as `::ffff:127.0.0.1`, as sockets that take both
    /// families show it; any other address as it is.
    var unmapped: IPAddress {
        guard case .v6(let bits, _) = self, bits.value >> 32 == 0xFFFF else { return self }
        return .v4(UInt32(truncatingIfNeeded: bits.value))
    }
}

extension GatewayAccess.Caller {
    init(_ channel: any Channel) {
        peer = channel.remoteAddress?.ipAddress.flatMap { IPAddress($0) }
        local = channel.localAddress?.ipAddress.flatMap { IPAddress($0) }
    }
}

extension APIError {
    static let tokenNeeded = APIError(
        .unauthorized,
        "token_needed",
        """
        From another device this needs a token. Make one on the device that you ask, with \
        `caravan token create NAME`, and send it as `Authorization: Bearer TOKEN`: an OpenAI \
        client's API key, `caravan --token`, or the dashboard's login. (Or start that agent with \
        --http-open, on a network that you trust.)
        """
    )

    /// As `tokenNeeded`, for who has sent one.
    static let tokenUnknown = APIError(
        .unauthorized,
        "token_needed",
        """
        The token that was sent does not count at this agent. A token counts at the agent of the \
        device that made it, until it is removed: `caravan token list` shows there which do, and \
        `caravan token create NAME` makes another.
        """
    )

    static let adminTokenNeeded = APIError(
        .forbidden,
        "admin_token_needed",
        """
        To change what the cluster runs, or to read logs and model files, takes an admin token. Make one on the device that you \
        ask, with `caravan token create NAME --admin`.
        """
    )

    /// - Parameter address: where the request came in.
    static func hostNotAllowed(at address: IPAddress?) -> APIError {
        let instead =
            address.map { "Ask it as \($0.unmapped), at the same port," } ?? "Ask it so,"
        return APIError(
            .forbidden,
            "host_not_allowed",
            """
            Without a token this machine is asked by its address or as localhost only, so that a \
            page of another site cannot pose as it. \(instead) or send a token.
            """
        )
    }

    static let ambiguousHost = APIError(
        .badRequest,
        "ambiguous_host",
        """
        The request names several hosts, in more than one Host header or in its target besides: \
        it is not clear for whom it is. Send one Host header, and only the path in the first line.
        """
    )

    static func crossOrigin(from origin: String) -> APIError {
        APIError(
            .forbidden,
            "cross_origin",
            "Requests from pages of other sites are refused; this one came from \(origin)."
        )
    }
}
