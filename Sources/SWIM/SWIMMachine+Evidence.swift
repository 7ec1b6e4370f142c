package import Primitives

// Evidence beats timers: what looks like a death is looked into at once, and what the look finds
// decides how long the accused has to object. Evidence alone buries nobody, since a restarted
// process or a reset path looks alike.
extension SWIMMachine {
    mutating func suspects(
        _ id: NodeID,
        on evidence: SWIMEvidence,
        at now: Instant,
        _ effects: inout [SWIMEffect]
    ) {
        if evidence == .streamEnded { updateContact(id) { $0.isWatched = false } }
        if evidence == .refused { giveUpRelays(to: id, &effects) }
        guard configuration.parts.usesEvidence, state(of: id)?.isPresent == true else { return }
        if let index = probes.firstIndex(where: { $0.target == id }) {
            guard evidence == .refused else {
                probes[index].isOvertaken = true
                return
            }
            probes[index].datagramRefused = true
            probeIndirectly(probes[index].number, &effects)
            if let index = probes.firstIndex(where: { $0.target == id }) {
                failEarly(index, at: now, &effects)
            }
            return
        }
        // One look at a time, and not again and again: what is refused is refused each time.
        if let last = contact(with: id)?.lastAlarm, now - last < Self.alarmInterval { return }
        updateContact(id) { $0.lastAlarm = now }
        probe(id, at: now, &effects)
        guard let number = probes.last(where: { $0.target == id })?.number else { return }
        switch evidence {
        case .refused: break
        case .silent:
            // Several words of it are missing already: no need to wait for one more.
            probeIndirectly(number, &effects)
        case .streamEnded:
            effects.append(.cancelTimer(.probeTimeout(number)))
            effects.append(.setTimer(.probeTimeout(number), after: Self.endedPatience))
        }
    }

    /// How long the answer to a ping may take after a stream has ended.
    ///
    /// A process that is being killed may lose its streams before its socket: what the socket still
    /// takes is never answered, and a moment later its system refuses what comes.
    private static let endedPatience: Duration = .milliseconds(100)

    static let alarmInterval: Duration = .milliseconds(200)

    /// Somebody else accuses: see for oneself, and thereby confirm or clear.
    ///
    /// In a large cluster only some do, lest an accused member drown in questions.
    mutating func verify(
        _ id: NodeID,
        accusedBy accuser: NodeID,
        at now: Instant,
        _ effects: inout [SWIMEffect]
    ) {
        guard configuration.parts.verifiesAccusations, accuser != own.id else { return }
        let share = Double(Self.verifierCount) / Double(max(1, presentCount))
        guard share >= 1 || generator.fraction() < share else { return }
        probe(id, at: now, &effects)
    }

    static let verifierCount = 8

    mutating func lookAgain(
        at id: NodeID,
        _ now: Instant,
        _ effects: inout [SWIMEffect]
    ) {
        guard state(of: id) == .suspect else { return }
        probe(id, at: now, &effects)
    }

    /// A suspect is heard: it lives, and may not know what it is accused of.
    ///
    /// After a network has healed, suspicions of before end long after the first words of those
    /// whom they are about.
    mutating func lookAtHeard(_ id: NodeID, at now: Instant, _ effects: inout [SWIMEffect]) {
        guard suspicions.contains(where: { $0.id == id }) else { return }
        if let last = contact(with: id)?.lastAlarm, now - last < configuration.period { return }
        updateContact(id) { $0.lastAlarm = now }
        // What it says may be its objection.
        effects.append(.setTimer(.lookAtHeard(id), after: Self.heardPatience))
    }

    private static let heardPatience: Duration = .milliseconds(50)

    // MARK: - What a look finds

    mutating func hostAnswered(_ number: UInt32) {
        guard let index = probes.firstIndex(where: { $0.number == number }) else { return }
        probes[index].hostAnswers = true
    }

    mutating func streamRefused(
        _ number: UInt32,
        at now: Instant,
        _ effects: inout [SWIMEffect]
    ) {
        guard let index = probes.firstIndex(where: { $0.number == number }) else { return }
        probes[index].streamRefused = true
        failEarly(index, at: now, &effects)
    }

    /// Ends a probe that can bring nothing more.
    mutating func failEarly(_ index: Int, at now: Instant, _ effects: inout [SWIMEffect]) {
        let probe = probes[index]
        guard configuration.parts.usesEvidence, probe.isIndirect, probe.silentRelays.isEmpty else {
            return
        }
        let isGone = probe.datagramRefused && probe.streamRefused
        // Relays wait as long for the target as its stream had time to be taken.
        let isVanished = !probe.nackers.isEmpty && !probe.hostAnswers
        guard isGone || isVanished else { return }
        failed(probe.number, at: now, &effects)
    }

    /// How long the target of a failed probe has to object.
    mutating func judge(_ probe: Probe, at now: Instant, _ effects: inout [SWIMEffect]) {
        guard configuration.parts.usesEvidence,
            let position = suspicions.firstIndex(where: { $0.id == probe.target })
        else { return }
        if probe.datagramRefused, probe.streamRefused {
            suspicions[position].suspicion.isOfGoneProcess = true
            shorten(probe.target, to: configuration.goneSuspicion, at: now, &effects)
            return
        }
        // A relay that looked and found nobody accuses as well as one that says so.
        confirm(probe.target, by: probe.nackers, at: now, &effects)
        // A process that stands still on a living host gets the usual time. So does everybody
        // where answers get lost, and who is silent for this agent alone.
        guard !probe.hostAnswers, lateShare < Self.reliableLateShare else { return }
        // A relay that is silent itself bears no witness: most likely it is on the other side of
        // the same cut.
        let doubters = probe.silentRelays.count { wasHeard($0, since: probe.sentAt) }
        if probe.nackers.isEmpty, doubters == 0, !probe.silentRelays.isEmpty {
            // Nobody at all is heard: this agent is cut off, and its doubt of itself, which is
            // right, must not keep it from serving those who reach it. Of a large cluster only a
            // few were asked, which says little.
            guard presentCount <= configuration.allPairsLimit else { return }
            shorten(probe.target, to: configuration.cutOffSuspicion, at: now, &effects)
            return
        }
        let isAlone = probe.nackers.isEmpty && doubters == 0
        guard isAlone || probe.nackers.count > doubters else { return }
        let limit = configuration.vanishedSuspicion * (isAlone ? 2 : 1)
        shorten(probe.target, to: limit * healthFactor, at: now, &effects)
    }

    func wasHeard(_ id: NodeID, since moment: Instant) -> Bool {
        guard let lastHeard = contact(with: id)?.lastHeard else { return false }
        return lastHeard > moment
    }

    /// One late answer of the last twenty.
    static let reliableLateShare = 0.02
}

// What this agent itself sees of others.
extension SWIMMachine {
    /// Of how many members this is kept.
    static let contactLimit = 128

    package func contact(with id: NodeID) -> Contact? {
        let place = contactPlace(of: id)
        return place < contacts.count && contacts[place].id == id ? contacts[place] : nil
    }

    private func contactPlace(of id: NodeID) -> Int {
        contacts.sortedIndex { $0.id < id }
    }

    mutating func updateContact(_ id: NodeID, _ change: (inout Contact) -> Void) {
        guard id != own.id, others.isPresent(id) else { return }
        let place = contactPlace(of: id)
        if place == contacts.count || contacts[place].id != id {
            guard contacts.count < Self.contactLimit else { return }
            contacts.insert(Contact(id: id), at: place)
        }
        change(&contacts[place])
    }

    /// It is gone: nothing seen of it holds any more, and nothing is waited for.
    mutating func loseContact(with id: NodeID, _ effects: inout [SWIMEffect]) {
        let place = contactPlace(of: id)
        if place < contacts.count, contacts[place].id == id { contacts.remove(at: place) }
        if let number = probes.first(where: { $0.target == id })?.number {
            _ = endProbe(number, &effects)
        }
    }

    // MARK: - Watching

    /// Whom this agent dials to keep an idle stream, and who dials it.
    package var watchPartners: (dialled: [NodeID], diallers: [NodeID]) {
        guard configuration.parts.usesEvidence, !isLeaving else { return ([], []) }
        var present: [NodeID] = []
        present.reserveCapacity(others.presentCount)
        for place in others.indices where others[place].state.isPresent {
            present.append(others[place].id)
        }
        guard !present.isEmpty else { return ([], []) }
        let limit = configuration.allPairsLimit
        let count = configuration.watchCount
        return (
            WatchRing.dialled(by: own.id, among: present, allPairsLimit: limit, count: count),
            WatchRing.diallers(of: own.id, among: present, allPairsLimit: limit, count: count)
        )
    }
}
