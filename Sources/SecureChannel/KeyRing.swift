package import Primitives

/// The keys of a cluster while one takes over from another, and the devices that are out.
///
/// Times are wall-clock seconds since 1970, each device's own.
package struct KeyRing: Equatable, Sendable {
    package static let keyLimit = 4
    package static let removedLimit = 256
    /// How long a new key only opens: every member gets it meanwhile.
    package static let changeOver: Int64 = 20
    /// How long devices that were off may still come with the key before.
    package static let gracePeriod: Int64 = 7 * 86_400
    /// How long the key before opens after a device was removed, who has it too.
    package static let removalGracePeriod: Int64 = 60

    package struct Entry: Equatable, Sendable {
        package var key: ClusterKey
        /// From when on it seals.
        package var sealsFrom: Int64
        /// Until when it opens; nil for the newest.
        package var opensUntil: Int64?

        package init(key: ClusterKey, sealsFrom: Int64, opensUntil: Int64? = nil) {
            self.key = key
            self.sealsFrom = sealsFrom
            self.opensUntil = opensUntil
        }
    }

    /// Rises with each change; of two rings the higher one holds.
    package private(set) var version: UInt64
    /// The newest first; never empty.
    package private(set) var entries: [Entry]
    /// Sorted.
    package private(set) var removed: [NodeID]

    /// A ring with one key.
    package init(_ key: ClusterKey) {
        version = 1
        entries = [Entry(key: key, sealsFrom: 0)]
        removed = []
    }

    /// Nil unless it has keys, within the limits.
    package init?(version: UInt64, entries: [Entry], removed: [NodeID]) {
        guard (1...Self.keyLimit).contains(entries.count), removed.count <= Self.removedLimit
        else { return nil }
        self.version = version
        self.entries = entries
        self.removed = removed.sorted()
    }

    package var newest: Entry { entries[0] }

    package func isNewer(than other: KeyRing) -> Bool {
        // Two that were changed at once on two devices: any order will do, if it is the same
        // everywhere.
        (version, newest.key.id) > (other.version, other.newest.key.id)
    }

    /// Makes a new key; if a device is removed, it never gets it, and the one before is soon void.
    package mutating func rotate(
        to key: ClusterKey = .random(),
        removing node: NodeID? = nil,
        at now: Int64
    ) {
        let grace = node == nil ? Self.gracePeriod : Self.removalGracePeriod
        for index in entries.indices {
            let end = entries[index].opensUntil ?? .max
            entries[index].opensUntil = min(end, now + grace)
        }
        entries.insert(Entry(key: key, sealsFrom: now + Self.changeOver), at: 0)
        entries = Array(entries.prefix(Self.keyLimit))
        if let node, !removed.contains(node) {
            removed = Array((removed + [node]).suffix(Self.removedLimit)).sorted()
        }
        version += 1
    }

    /// What seals and opens at a moment, for a cluster of this name.
    ///
    /// - Parameter veterans: who was a member when a device was removed: they alone come in with
    ///   the key before, until it opens no more.
    package func keys(
        cluster: String,
        at now: Int64,
        veterans: [NodeID] = []
    ) -> CurrentKeys {
        let opening = entries.filter { $0.opensUntil.map { now < $0 } ?? true }
        let sealing = opening.first { $0.sealsFrom <= now } ?? opening.last ?? newest
        return CurrentKeys(
            sealing: WorkingKey(sealing.key, cluster: cluster),
            opening: opening.map { WorkingKey($0.key, cluster: cluster) },
            removed: removed,
            closing: closing(at: now),
            veterans: veterans.sorted()
        )
    }

    /// Keys that a removed device has, too, and with which it could come back as another device.
    private func closing(at now: Int64) -> [UInt32] {
        guard !removed.isEmpty else { return [] }
        return entries.dropFirst().filter { entry in
            entry.opensUntil.map { $0 - now <= Self.removalGracePeriod } ?? false
        }.map(\.key.id)
    }
}

/// A cluster key with what is derived from it.
package struct WorkingKey: Equatable, Sendable {
    package let id: UInt32
    let handshake: [UInt8]
    let beacon: [UInt8]

    init(_ key: ClusterKey, cluster: String) {
        id = key.id
        handshake = key.handshakeKey(cluster: cluster)
        beacon = key.beaconKey(cluster: cluster)
    }
}

/// The keys in use at a moment.
package struct CurrentKeys: Equatable, Sendable {
    let sealing: WorkingKey
    let opening: [WorkingKey]
    /// Sorted.
    let removed: [NodeID]
    /// The ids of keys with which nobody comes in but veterans.
    let closing: [UInt32]
    /// Sorted.
    let veterans: [NodeID]

    /// Whether a device may come in with a key that still opens.
    func isOpen(_ id: UInt32, to node: NodeID) -> Bool {
        !closing.contains(id) || veterans.contains(node)
    }

    /// Whether a device was removed from the cluster.
    package func hasRemoved(_ node: NodeID) -> Bool { removed.contains(node) }

    func key(_ id: UInt32) throws(SecureChannelError) -> WorkingKey {
        guard let key = opening.first(where: { $0.id == id }) else { throw .unknownKey(id) }
        return key
    }

    /// The node of a device that takes part; others are refused.
    func admit(
        _ publicKey: [UInt8],
        under id: UInt32
    ) throws(SecureChannelError) -> NodeID {
        let node = DeviceIdentity.node(of: publicKey)
        guard !removed.contains(node) else { throw .removedDevice }
        guard isOpen(id, to: node) else { throw .closingKey(id) }
        return node
    }
}
