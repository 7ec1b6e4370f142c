import Primitives

// From suspect to dead, or not (SWIM §4.2, Lifeguard §3.2).
extension SWIMMachine {
    /// The shortest time that somebody whose host may be well has to object.
    private var shortestSuspicion: Duration {
        let scale = max(1, Logarithm.base10(Double(presentCount)))
        return configuration.period.scaled(by: configuration.suspicionMultiplier * scale)
    }

    mutating func beginSuspicion(
        of id: NodeID,
        by accuser: NodeID,
        at now: Instant,
        _ effects: inout [SWIMEffect]
    ) {
        let minimum = shortestSuspicion
        let canBeConfirmed =
            configuration.parts.shrinksSuspicions
            // Neither the accused nor this agent's first accuser can confirm.
            && presentCount - 2 >= configuration.suspicionConfirmations
        let suspicion = Suspicion(
            by: accuser,
            at: now,
            minimum: minimum,
            maximum: minimum.scaled(by: configuration.suspicionMaximumMultiplier),
            confirmations: canBeConfirmed ? configuration.suspicionConfirmations : 0
        )
        suspicions.append((id, suspicion))
        effects.append(.setTimer(.suspicion(id), after: suspicion.deadline - now))
    }

    mutating func confirmSuspicion(
        of index: Int,
        by accuser: NodeID,
        _ update: MemberUpdate,
        at now: Instant,
        _ effects: inout [SWIMEffect]
    ) {
        let id = others[index].id
        guard confirm(id, by: [accuser], at: now, &effects) else { return }
        queueGossip(update, &effects)
    }

    /// Notes accusers; false if none of them is new.
    @discardableResult
    mutating func confirm(
        _ id: NodeID,
        by accusers: [NodeID],
        at now: Instant,
        _ effects: inout [SWIMEffect]
    ) -> Bool {
        guard let position = suspicions.firstIndex(where: { $0.id == id }) else { return false }
        var isNew = false
        for accuser in accusers where suspicions[position].suspicion.confirm(by: accuser) {
            isNew = true
        }
        if isNew { restartTimer(of: position, at: now, &effects) }
        return isNew
    }

    /// The suspicion lasts no longer than that from now on.
    mutating func shorten(
        _ id: NodeID,
        to limit: Duration,
        at now: Instant,
        _ effects: inout [SWIMEffect]
    ) {
        guard let position = suspicions.firstIndex(where: { $0.id == id }),
            suspicions[position].suspicion.deadline > now + limit
        else { return }
        suspicions[position].suspicion.limit(to: now + limit)
        restartTimer(of: position, at: now, &effects)
        effects.append(.setTimer(.secondLook(id), after: limit.scaled(by: 0.5)))
    }

    func restartTimer(
        of position: Int,
        at now: Instant,
        _ effects: inout [SWIMEffect]
    ) {
        let (id, suspicion) = suspicions[position]
        effects.append(.cancelTimer(.suspicion(id)))
        effects.append(.setTimer(.suspicion(id), after: max(.zero, suspicion.deadline - now)))
    }

    mutating func endSuspicion(of id: NodeID, _ effects: inout [SWIMEffect]) {
        guard let index = suspicions.firstIndex(where: { $0.id == id }) else { return }
        suspicions.remove(at: index)
        effects.append(.cancelTimer(.suspicion(id)))
        effects.append(.cancelTimer(.secondLook(id)))
        effects.append(.cancelTimer(.lookAtHeard(id)))
    }

    mutating func suspicionEnded(
        _ id: NodeID,
        at now: Instant,
        _ effects: inout [SWIMEffect]
    ) {
        guard let position = suspicions.firstIndex(where: { $0.id == id }),
            let member = member(id), member.state == .suspect
        else { return }
        let suspicion = suspicions[position].suspicion
        guard now >= suspicion.deadline else {
            effects.append(.setTimer(.suspicion(id), after: suspicion.deadline - now))
            return
        }
        if Mutant.neverBuries.isPlanted { return }
        if now < accusesFrom || doubtsMassDeath(of: suspicion, at: now) {
            // What is here already, and was not read yet, may say otherwise.
            let end = max(accusesFrom + configuration.period, (doubtedAt ?? now) + doubtTime)
            suspicions[position].suspicion.delay(until: end)
            restartTimer(of: position, at: now, &effects)
            return
        }
        let death = MemberUpdate(
            id: id,
            incarnation: member.incarnation,
            belief: .dead(accuser: own.id)
        )
        merge(death, at: now, &effects)
        tellEverybody(death, &effects)
    }

    /// How long what is here already, and was not read yet, has time to say otherwise.
    private var doubtTime: Duration { configuration.period * 2 }

    /// Whether most members are about to be buried within a short time, which is rarely their
    /// fault; the second time it is believed.
    private mutating func doubtsMassDeath(of suspicion: Suspicion, at now: Instant) -> Bool {
        // What a system says of its own ports is no matter of one's own network.
        guard configuration.parts.doubtsMassDeath, !suspicion.isOfGoneProcess else { return false }
        let window = shortestSuspicion + configuration.period * 2
        let suspects = others.count { $0.state == .suspect }
        let lately = others.count { $0.state == .dead && now - $0.since < window }
        let known = presentCount - 1 + lately
        guard known >= 3, 2 * (suspects + lately) > known else { return false }
        if let doubtedAt, now - doubtedAt < .seconds(30) { return now - doubtedAt < doubtTime }
        doubtedAt = now
        charge(2)
        return true
    }
}
