import Primitives

// Being master, following one, and what is wanted.
extension LaunchMachine {
    mutating func reigns(
        _ ballot: Ballot,
        at now: Instant,
        _ effects: inout [LaunchEffect]
    ) {
        let isRenewed = self.ballot != nil
        if self.ballot != ballot { nextReport = 0 }
        self.ballot = ballot
        effects += [
            .cancelTimer(.abandoned), .setTimer(.announce, after: Self.announceInterval),
        ]
        if isCollecting {
            // Renewed before the others were heard: what they know still counts.
            effects.append(.broadcast(.wanted(wanted)))
        } else if isRenewed || attempt?.isServerRunning == true {
            // What runs goes on. The wanted state gets the new ballot, so that no state of a side
            // that gave way counts as newer.
            if wanted.ballot != nil { take(wanted.model, &effects) }
            tellProgress(&effects)
            runWanted(at: now, &effects)
        } else {
            isCollecting = true
            collectRounds = 0
            collect(&effects)
        }
    }

    private mutating func collect(_ effects: inout [LaunchEffect]) {
        collectRounds += 1
        effects += [
            .broadcast(.wanted(wanted)), .setTimer(.collected, after: Self.collectInterval),
        ]
    }

    mutating func collected(at now: Instant, _ effects: inout [LaunchEffect]) {
        guard isCollecting, ballot != nil else { return }
        guard collectRounds >= Self.collectRoundCount else {
            collect(&effects)
            return
        }
        isCollecting = false
        // Nothing was ever wanted: nothing to take over.
        guard wanted.ballot != nil else { return }
        take(wanted.model, &effects)
        if wanted.model != nil {
            begin(at: now, &effects)
        } else if attempt != nil {
            end(&effects)
        }
    }

    mutating func follows(_ other: Ballot?, _ effects: inout [LaunchEffect]) {
        if ballot != nil {
            ballot = nil
            isCollecting = false
            releasing = []
            rival = nil
            effects += [.cancelTimer(.announce), .cancelTimer(.collected), .cancelTimer(.retry)]
        }
        guard let attempt, !Mutant.keepsLlamaServer.isPlanted else { return }
        if other == nil, attempt.isServerRunning, attempt.phase > .handshake {
            // Perhaps this member is elected again in a moment: loading took minutes. A
            // llama-server that still connects is ended at once: it could reach a worker that
            // serves another master by now.
            effects.append(.setTimer(.abandoned, after: Self.abandonGrace))
        } else {
            abandon(&effects)
        }
    }

    mutating func abandon(_ effects: inout [LaunchEffect]) {
        guard attempt != nil else { return }
        attempt = nil
        report = nil
        transfers = nil
        effects += [
            .cancelTimer(.abandoned), .cancelTimer(.stalled), .stopServer, .serving(false),
            .emit(.stopped), .emit(.progressChanged),
        ]
    }

    // MARK: - What is wanted

    mutating func want(
        _ model: WantedModel?,
        at now: Instant,
        _ effects: inout [LaunchEffect]
    ) {
        guard ballot != nil else { return }
        isCollecting = false
        failures = []
        rejectionCount = 0
        take(model, &effects)
        if model != nil {
            begin(at: now, &effects)
        } else {
            end(&effects)
        }
    }

    /// Makes a model the newest that is wanted, above all that was heard of.
    mutating func take(_ model: WantedModel?, _ effects: inout [LaunchEffect]) {
        guard let ballot else { return }
        let newest = rival.flatMap { $0.isNewer(than: wanted) ? $0 : nil } ?? wanted
        rival = nil
        if let known = newest.ballot, known >= ballot {
            wanted = WantedState(ballot: known, version: newest.version &+ 1, model: model)
        } else {
            wanted = WantedState(ballot: ballot, version: 1, model: model)
        }
        effects += [.persist(wanted), .emit(.wants(wanted)), .broadcast(.wanted(wanted))]
    }

    /// Ends what is not wanted any more and begins what is.
    private mutating func runWanted(at now: Instant, _ effects: inout [LaunchEffect]) {
        if wanted.model == nil {
            if attempt != nil { end(&effects) }
        } else if attempt?.model != wanted.model {
            begin(at: now, &effects)
        } else {
            checkLost(at: now, &effects)
        }
    }

    mutating func heard(
        _ state: WantedState,
        from sender: NodeID,
        at now: Instant,
        _ effects: inout [LaunchEffect]
    ) {
        guard state.isNewer(than: wanted), !Mutant.forgetsWanted.isPlanted else {
            if wanted.isNewer(than: state) { effects.append(.send(.wanted(wanted), to: sender)) }
            return
        }
        let isReigning = ballot != nil && !isCollecting
        if isReigning, wanted.ballot != nil {
            // The word of another side's master, who gives way or makes this one give way. What
            // runs here goes on until then; see `announce`.
            if rival.map(state.isNewer) ?? true { rival = state }
            return
        }
        wanted = state
        effects += [.persist(state), .emit(.wants(state))]
        if isReigning {
            take(state.model, &effects)
            runWanted(at: now, &effects)
        } else if ballot == nil, attempt == nil, state.model == nil, report != nil {
            report = nil
            transfers = nil
            effects.append(.emit(.progressChanged))
        }
    }

    mutating func heardProgress(
        _ report: LaunchReport,
        _ effects: inout [LaunchEffect]
    ) {
        guard ballot == nil else { return }
        if let known = self.report,
            (report.ballot, report.number) <= (known.ballot, known.number)
        {
            return
        }
        // A late word about a model that was unloaded since.
        if wanted.model == nil, let known = wanted.ballot, known >= report.ballot { return }
        self.report = report
        forgetTransfers(before: report.phase)
        effects.append(.emit(.progressChanged))
    }
}
