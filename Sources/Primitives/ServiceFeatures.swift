/// What two agents agree on for a stream to a service (Protocols/services.md).
package struct ServiceFeatures: OptionSet, Hashable, Sendable {
    package let rawValue: UInt16

    package init(rawValue: UInt16) {
        self.rawValue = rawValue
    }

    /// The stream to an RPC server carries weights by name (Protocols/tensors.md).
    package static let tensorsByName = ServiceFeatures(rawValue: 1 << 0)
    /// The worker's agent tells where a buffer begins before it is asked; only with `tensorsByName`.
    package static let basesAhead = ServiceFeatures(rawValue: 1 << 1)
}
