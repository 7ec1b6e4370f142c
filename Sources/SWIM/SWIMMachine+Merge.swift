import Primitives

// What is believed of members: a join of (incarnation, state), and of (incarnation, version) for
// facts (SWIM §4.2).
extension SWIMMachine {
    mutating func merge(
        _ update: MemberUpdate,
        at now: Instant,
        _ effects: inout [SWIMEffect]
    ) {
        guard update.id != own.id else {
            hearOfSelf(update, &effects)
            return
        }
        guard let index = others.place(of: update.id) else {
            switch update.belief {
            case .alive: welcome(update, at: now, &effects)
            case .suspect, .dead, .left: remember(update, at: now)
            }
            return
        }
        let hasNewFacts = adoptFacts(of: update, at: index)
        if case .suspect(let accuser) = update.belief,
            others[index].state == .suspect, others[index].incarnation == update.incarnation
        {
            confirmSuspicion(of: index, by: accuser, update, at: now, &effects)
        } else if Self.isNewer(update, others[index].incarnation, others[index].state) {
            adopt(update, at: index, now, &effects)
        } else if hasNewFacts {
            queueGossip(update, &effects)
            effects.append(.emit(.factsChanged(others[index])))
        }
    }

    /// Merges what another member believes of everybody.
    ///
    /// A death that somebody tells of after the fact is doubted first: the teller may be the one
    /// that was cut off, and the accused gets the chance to refute. Who is dead here, too, stays so:
    /// doubt would make a ghost of it for some seconds.
    mutating func mergeSync(
        _ updates: [MemberUpdate],
        at now: Instant,
        _ effects: inout [SWIMEffect]
    ) {
        for var update in updates {
            if case .dead(let accuser) = update.belief,
                others.state(of: update.id)?.isPresent ?? true
            {
                update.belief = .suspect(accuser: accuser)
            }
            merge(update, at: now, &effects)
        }
    }

    /// Than what is believed of the member.
    private static func isNewer(
        _ update: MemberUpdate,
        _ incarnation: UInt64,
        _ state: MemberState
    ) -> Bool {
        if Mutant.skipsIncarnationCheck.isPlanted { return update.state != state }
        guard update.incarnation == incarnation else { return update.incarnation > incarnation }
        return update.state > state
    }

    private mutating func welcome(
        _ update: MemberUpdate,
        at now: Instant,
        _ effects: inout [SWIMEffect]
    ) {
        guard case .alive(let endpoint, let version, let facts) = update.belief,
            others.count + 1 < configuration.memberLimit
        else { return }
        var member = Member(
            id: update.id,
            endpoint: endpoint,
            incarnation: update.incarnation,
            factsVersion: version,
            facts: facts,
            since: now
        )
        var rumour = takeRumour(of: update.id)
        if let old = rumour, !Self.isNewer(old, member.incarnation, member.state) { rumour = nil }
        if let rumour, !rumour.state.isPresent {
            // It was gone before its old words arrived here.
            member.incarnation = rumour.incarnation
            member.state = rumour.state
        }
        others.insert(member)
        addToRound(member.id)
        guard member.state.isPresent else { return }
        queueGossip(update, &effects)
        effects.append(.emit(.joined(member)))
        if let rumour { merge(rumour, at: now, &effects) }
    }

    private mutating func remember(_ update: MemberUpdate, at now: Instant) {
        if let index = unmet.firstIndex(where: { $0.update.id == update.id }) {
            let known = unmet[index].update
            guard (update.incarnation, update.state) > (known.incarnation, known.state) else {
                return
            }
            unmet[index] = (update, now)
        } else if unmet.count < configuration.memberLimit {
            unmet.append((update, now))
        }
    }

    private mutating func takeRumour(of id: NodeID) -> MemberUpdate? {
        guard let index = unmet.firstIndex(where: { $0.update.id == id }) else { return nil }
        return unmet.remove(at: index).update
    }

    private mutating func adoptFacts(of update: MemberUpdate, at index: Int) -> Bool {
        guard case .alive(let endpoint, let version, let facts) = update.belief else {
            return false
        }
        let known = (others[index].factsIncarnation, others[index].factsVersion)
        guard (update.incarnation, version) > known else { return false }
        others[index].factsIncarnation = update.incarnation
        others[index].factsVersion = version
        others[index].facts = facts
        others[index].endpoint = endpoint
        return true
    }

    private mutating func adopt(
        _ update: MemberUpdate,
        at index: Int,
        _ now: Instant,
        _ effects: inout [SWIMEffect]
    ) {
        let before = others[index].state
        others[index].incarnation = update.incarnation
        others[index].state = update.state
        if before != update.state { others[index].since = now }
        endSuspicion(of: update.id, &effects)
        if !update.state.isPresent { loseContact(with: update.id, &effects) }
        queueGossip(update, &effects)
        let member = others[index]
        switch update.belief {
        case .alive where before == .suspect: effects.append(.emit(.recovered(member)))
        case .alive where before == .alive: effects.append(.emit(.factsChanged(member)))
        case .alive: effects.append(.emit(.joined(member)))
        case .suspect(let accuser):
            beginSuspicion(of: member.id, by: accuser, at: now, &effects)
            effects.append(.emit(.suspected(member, accuser: accuser)))
            verify(member.id, accusedBy: accuser, at: now, &effects)
        case .dead(let accuser): effects.append(.emit(.died(member, accuser: accuser)))
        case .left: effects.append(.emit(.departed(member)))
        }
    }

    /// Somebody speaks of this agent: whatever is not its own word is refuted by a higher
    /// incarnation.
    private mutating func hearOfSelf(
        _ update: MemberUpdate,
        _ effects: inout [SWIMEffect]
    ) {
        guard !isLeaving, !Mutant.neverRefutes.isPlanted else { return }
        switch update.belief {
        case .alive(let endpoint, let version, _):
            // An echo of what this agent said is fine; words of an earlier life are not.
            guard
                (update.incarnation, version) > (own.incarnation, own.factsVersion)
                    || (update.incarnation == own.incarnation && endpoint != own.endpoint)
            else { return }
        case .suspect, .dead, .left:
            guard update.incarnation >= own.incarnation else {
                // Refuted before; whoever says it again has missed that, and would let it stand.
                announceSelf(&effects)
                return
            }
            charge(1)
        }
        own.incarnation = max(own.incarnation, update.incarnation) + 1
        own.factsVersion = 0
        effects.append(.persist(incarnation: own.incarnation))
        announceSelf(&effects)
        effects.append(.emit(.refuted(incarnation: own.incarnation)))
    }

    mutating func forgetOldTombstones(at now: Instant, _ effects: inout [SWIMEffect]) {
        unmet.removeAll { now - $0.since >= configuration.tombstoneTimeout }
        guard others.presentCount < others.count else { return }
        let old = others.filter {
            !$0.state.isPresent && now - $0.since >= configuration.tombstoneTimeout
        }
        for member in old {
            others.remove(member.id)
            removeFromRound(member.id)
            queue.remove(member.id)
            if member.state == .dead { seek(member.endpoint, &effects) }
            effects.append(.emit(.forgotten(member.id)))
        }
    }
}
