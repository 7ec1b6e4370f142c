import Primitives

// Handing mastership over: the target agrees, the old master stops, the target stands at once.
extension ElectionMachine {
    private static let offerInterval: Duration = .milliseconds(200)
    private static let repeatInterval: Duration = .milliseconds(100)

    // MARK: - As the master that goes

    mutating func beginTransfer(
        to target: NodeID,
        at now: Instant,
        _ effects: inout [ElectionEffect]
    ) {
        let refusal: TransferRefusal? =
            if case .master = role {
                if transfer != nil || handedOver != nil {
                    .busy
                } else {
                    target == own ? .alreadyMaster : unfitness(of: target, at: now)
                }
            } else {
                .notMaster
            }
        if let refusal {
            let outcome = TransferOutcome(target: target, result: .refused(refusal))
            effects.append(.emit(.transferEnded(outcome)))
            return
        }
        transfer = Transfer(target: target, began: now)
        tendTransfer(at: now, &effects)
    }

    /// Hands over to the best member that takes it.
    mutating func yield(at now: Instant, _ effects: inout [ElectionEffect]) {
        guard case .master = role else {
            let outcome = TransferOutcome(target: nil, result: .refused(.notMaster))
            effects.append(.emit(.transferEnded(outcome)))
            return
        }
        guard transfer == nil else {
            // Goes on to the next best should that one not take it.
            transfer?.isYielding = true
            return
        }
        yield(after: [], at: now, &effects)
    }

    private mutating func yield(
        after tried: [NodeID],
        at now: Instant,
        _ effects: inout [ElectionEffect]
    ) {
        let fit = members.filter { member in
            guard member.node != own, !tried.contains(member.node) else { return false }
            let refusal = unfitness(of: member.node, at: now)
            // Better a master that cannot run the model than none.
            return refusal == nil || refusal == .lacksModel || refusal == .hasNoEngine
        }
        // A voter can stand at once.
        let voters = fit.filter { record.configuration?.contains($0.node) ?? false }
        guard let best = voters.max() ?? fit.max() else {
            let outcome = TransferOutcome(target: nil, result: .refused(.nobodyElse))
            effects.append(.emit(.transferEnded(outcome)))
            if isLeaving { tendDeparture(at: now, &effects) }
            return
        }
        transfer = Transfer(
            target: best.node,
            began: now,
            isYielding: true,
            tried: tried + [best.node]
        )
        tendTransfer(at: now, &effects)
    }

    /// What speaks against the member as the next master, as far as this one knows.
    private func unfitness(of target: NodeID, at now: Instant) -> TransferRefusal? {
        guard let standing = members.first(where: { $0.node == target }) else {
            return .unknownMember
        }
        guard case .master(let reign) = role, answersNow(target, reign, at: now) else {
            return .silent
        }
        if !standing.hasEngine { return .hasNoEngine }
        if !standing.takesWork { return .takesNoWork }
        return standing.holdsWantedModel ? nil : .lacksModel
    }

    mutating func transferDue(at now: Instant, _ effects: inout [ElectionEffect]) {
        if transfer != nil {
            tendTransfer(at: now, &effects)
        } else if let handedOver {
            guard now < handedOver.until else {
                finishHandOver(.nobodyElected, at: now, &effects)
                return
            }
            // Datagrams get lost; who has heard it once does not wait anew.
            if master == nil { sayHandOver(handedOver, &effects) }
            effects.append(.setTimer(.transfer, after: Self.repeatInterval))
        }
    }

    /// Asks the target, again and again; under `quorum` it must be a voter first.
    private mutating func tendTransfer(at now: Instant, _ effects: inout [ElectionEffect]) {
        guard case .master(let reign) = role, let transfer else { return }
        guard now - transfer.began < configuration.transferLimit else {
            let isWaitedFor =
                answersNow(transfer.target, reign, at: now)
                && !isElectable(transfer.target, reign)
            giveUpTransfer(isWaitedFor ? .notAdmitted : .silent, at: now, &effects)
            return
        }
        effects.append(.setTimer(.transfer, after: Self.offerInterval))
        if isElectable(transfer.target, reign) {
            effects.append(.send(.transferOffer(reign.ballot), to: transfer.target))
        } else {
            tendVoters(at: now, &effects)
        }
    }

    /// Whether a majority would vote for the target: nobody does for one with older voters.
    private func isElectable(_ target: NodeID, _ reign: Reign) -> Bool {
        guard configuration.policy == .quorum else { return true }
        guard let current = record.configuration else { return false }
        return current.contains(target) && isHeld(current, reign)
            && holds(target, current, reign)
    }

    mutating func answered(
        _ answer: ElectionMessage.TransferAnswer,
        by member: NodeID,
        at now: Instant,
        _ effects: inout [ElectionEffect]
    ) {
        guard case .master(let reign) = role, let transfer, transfer.target == member,
            answer.ballot == reign.ballot
        else { return }
        switch answer.verdict {
        case .accepts:
            guard isElectable(member, reign) else { return }
            handOver(to: member, reign, at: now, &effects)
        case .justStarted: giveUpTransfer(.justStarted, at: now, &effects)
        case .takesNoWork: giveUpTransfer(.takesNoWork, at: now, &effects)
        case .obeysOther: giveUpTransfer(.obeysOther, at: now, &effects)
        }
    }

    private mutating func giveUpTransfer(
        _ reason: TransferRefusal,
        at now: Instant,
        _ effects: inout [ElectionEffect]
    ) {
        guard let transfer else { return }
        self.transfer = nil
        effects.append(.cancelTimer(.transfer))
        if transfer.isYielding {
            yield(after: transfer.tried + [transfer.target], at: now, &effects)
        } else {
            let outcome = TransferOutcome(target: transfer.target, result: .refused(reason))
            effects.append(.emit(.transferEnded(outcome)))
        }
    }

    /// Stops being master first: its lease must have ended before anybody votes.
    private mutating func handOver(
        to target: NodeID,
        _ reign: Reign,
        at now: Instant,
        _ effects: inout [ElectionEffect]
    ) {
        let word = HandedOver(
            ballot: reign.ballot,
            target: target,
            until: now + configuration.heirGrace * 2
        )
        transfer = nil
        handedOver = word
        if !Mutant.reignsOn.isPlanted {
            resignedBallot = reign.ballot
            depose(.handedOver, &effects)
            awaitElection(after: configuration.heirGrace, &effects)
        }
        sayHandOver(word, &effects)
        effects.append(.setTimer(.transfer, after: Self.repeatInterval))
    }

    private func sayHandOver(_ word: HandedOver, _ effects: inout [ElectionEffect]) {
        let message = ElectionMessage.HandOver(ballot: word.ballot, target: word.target)
        for member in members where member.node != own {
            effects.append(.send(.handOver(message), to: member.node))
        }
    }

    /// A master is obeyed again: perhaps the one to whom this member handed over.
    mutating func endHandOver(
        with ballot: Ballot,
        at now: Instant,
        _ effects: inout [ElectionEffect]
    ) {
        guard let handedOver else { return }
        let isTarget = ballot.node == handedOver.target
        finishHandOver(isTarget ? .done(ballot) : .otherElected(ballot), at: now, &effects)
    }

    private mutating func finishHandOver(
        _ result: TransferOutcome.Result,
        at now: Instant,
        _ effects: inout [ElectionEffect]
    ) {
        guard let handedOver else { return }
        self.handedOver = nil
        let outcome = TransferOutcome(target: handedOver.target, result: result)
        effects += [.cancelTimer(.transfer), .emit(.transferEnded(outcome))]
    }

    // MARK: - As the target, and as the others

    mutating func judgeOffer(
        _ ballot: Ballot,
        from sender: NodeID,
        at now: Instant,
        _ effects: inout [ElectionEffect]
    ) {
        let standing = members.first { $0.node == own }
        let verdict: ElectionMessage.TransferAnswer.Verdict =
            if master != ballot || sender != ballot.node {
                .obeysOther
            } else if now < quietUntil {
                .justStarted
            } else {
                hasResigned || isLeaving || standing?.takesWork == false ? .takesNoWork : .accepts
            }
        // An answer that passed the disk promises that the vote will, too.
        if verdict == .accepts { effects.append(.persist(record)) }
        let answer = ElectionMessage.TransferAnswer(ballot: ballot, verdict: verdict)
        effects.append(.send(.transferAnswer(answer), to: sender))
    }

    /// The master gave up for somebody, as it says itself or as that one says.
    mutating func hear(
        _ word: ElectionMessage.HandOver,
        from sender: NodeID,
        at now: Instant,
        _ effects: inout [ElectionEffect]
    ) {
        guard sender == word.ballot.node || sender == word.target, word.ballot.node != own,
            let obeyed = record.obeyed, obeyed.node == word.ballot.node, obeyed <= word.ballot
        else { return }
        let isNews = resignedBallot != word.ballot
        resignedBallot = word.ballot
        if master?.node == word.ballot.node { loseMaster(.handedOver, &effects) }
        guard master == nil, case .follower = role else { return }
        guard word.target == own else {
            if isNews { awaitElection(after: configuration.heirGrace, &effects) }
            return
        }
        guard inherited?.ballot != word.ballot, mayStand else { return }
        inherited = HandedOver(
            ballot: word.ballot,
            target: own,
            until: now + configuration.heirGrace
        )
        effects.append(.emit(.stands(Ballot(term: record.term + 1, node: own))))
        askForVotes(at: now, &effects)
    }

    // MARK: - Leaving

    mutating func leave(at now: Instant, _ effects: inout [ElectionEffect]) {
        guard !isLeaving else { return }
        isLeaving = true
        hasVote = record.configuration?.contains(own) ?? false
        if case .candidate = role {
            role = .follower
            effects.append(.cancelTimer(.vote))
        }
        if case .master = role { yield(at: now, &effects) }
        tendDeparture(at: now, &effects)
    }

    /// Gives up the vote, as soon as there is a master who can take it.
    mutating func tendDeparture(at now: Instant, _ effects: inout [ElectionEffect]) {
        guard isLeaving, !hasLeave else { return }
        if case .master = role {
            guard transfer == nil else {
                effects.append(.setTimer(.release, after: Self.offerInterval))
                return
            }
            // Nobody takes it over.
            resign(&effects)
        }
        if handedOver != nil {
            effects.append(.setTimer(.release, after: Self.offerInterval))
            return
        }
        guard configuration.policy == .quorum, hasVote else {
            mayLeave(isReleased: true, &effects)
            return
        }
        if members.count == 1 || record.configuration?.voters == [own] {
            // Its word is the cluster's: it can only be left with nobody to decide.
            mayLeave(isReleased: members.count == 1, &effects)
            return
        }
        effects.append(.setTimer(.release, after: Self.offerInterval))
        guard let master else { return }
        effects.append(.send(.release(master), to: master.node))
    }

    private mutating func mayLeave(isReleased: Bool, _ effects: inout [ElectionEffect]) {
        hasLeave = true
        effects += [.cancelTimer(.release), .emit(.mayLeave(isReleased: isReleased))]
    }

    mutating func hearRelease(
        _ ballot: Ballot,
        from sender: NodeID,
        at now: Instant,
        _ effects: inout [ElectionEffect]
    ) {
        if case .master(var reign) = role, reign.ballot == ballot {
            if !reign.leaving.contains(sender) {
                reign.leaving.append(sender)
                role = .master(reign)
            }
            tendVoters(at: now, &effects)
        } else if isLeaving, !hasLeave, ballot.node == sender, master == ballot {
            mayLeave(isReleased: true, &effects)
        }
    }
}
