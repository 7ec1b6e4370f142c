package import Primitives

/// What sees the bytes of streams that are passed on to a local server.
package struct SpliceFilters: Sendable {
    /// The filters of a stream, from the one that is nearest to the other agent on; called on the
    /// relay's thread.
    package typealias Maker = @Sendable (ServiceFeatures) -> [any RelayFilter]

    private struct Server: Sendable {
        let endpoint: Endpoint
        let features: ServiceFeatures
        let make: Maker
    }

    private let rpcServer: Server?

    package init() {
        rpcServer = nil
    }

    /// - Parameters:
    ///   - features: what the filters can do for whoever is at the other end.
    ///   - make: the filters of a stream for which these features were agreed on.
    package init(
        rpcServer endpoint: Endpoint,
        features: ServiceFeatures,
        make: @escaping Maker
    ) {
        rpcServer = Server(endpoint: endpoint, features: features, make: make)
    }

    package var features: ServiceFeatures { rpcServer?.features ?? [] }

    /// Nil where bytes pass as they are.
    package func maker(
        for local: Endpoint,
        with features: ServiceFeatures
    ) -> (@Sendable () -> any RelayFilter)? {
        guard let rpcServer, rpcServer.endpoint == local else { return nil }
        return { RelayFilterChain(rpcServer.make(features)) }
    }
}
