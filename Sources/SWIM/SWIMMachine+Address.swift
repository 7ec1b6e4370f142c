import Primitives

// Where this agent is reached, which changes when a device changes its network.
extension SWIMMachine {
    /// Says where it is now, and looks for others from there.
    ///
    /// Under a new incarnation: what is still told of the old address is refuted by it, and so is
    /// every suspicion that began because nobody reached the device any more.
    mutating func move(to endpoint: Endpoint, _ effects: inout [SWIMEffect]) {
        guard endpoint != own.endpoint, !isLeaving else { return }
        own.endpoint = endpoint
        own.incarnation += 1
        own.factsVersion = 0
        effects.append(.persist(incarnation: own.incarnation))
        announceSelf(&effects)
        effects.append(.emit(.factsChanged(own)))
        // Gossip tells some; comparing notes with one tells that one at once.
        if let partner = randomMembers(1, where: { $0.state.isPresent }).first {
            effects.append(.sync(to: partner.endpoint))
        }
        seedDelay = configuration.seedInterval
        guard !seeds.isEmpty || !lost.isEmpty else { return }
        effects.append(.cancelTimer(.seeds))
        askSeeds(&effects)
    }

    /// How many dead members that were forgotten are asked like seeds.
    static let lostLimit = 8

    /// Remembers where a member was that is forgotten: it may have been cut off only, and without
    /// beacons nothing else would bring the sides together again.
    mutating func seek(_ endpoint: Endpoint, _ effects: inout [SWIMEffect]) {
        guard endpoint != own.endpoint, !seeds.contains(endpoint) else { return }
        let wasAsking = !seeds.isEmpty || !lost.isEmpty
        lost.removeAll { $0 == endpoint }
        lost.append(endpoint)
        if lost.count > Self.lostLimit { lost.removeFirst() }
        if !wasAsking { effects.append(.setTimer(.seeds, after: configuration.syncInterval)) }
    }
}
