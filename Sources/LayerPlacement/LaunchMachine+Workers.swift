import GGUF
import Primitives

// Phases 1 and 2: the workers' RPC servers start, and the master sees that it reaches them.
extension LaunchMachine {
    mutating func changed(
        _ candidates: [WorkerCandidate],
        at now: Instant,
        _ effects: inout [LaunchEffect]
    ) {
        let isMore = Self.hasNewcomer(candidates, since: self.candidates)
        self.candidates = candidates
        guard let attempt, ballot != nil else { return }
        if attempt.isOver {
            if isMore { effects.append(.setTimer(.retry, after: .milliseconds(200))) }
            return
        }
        checkLost(at: now, &effects)
    }

    /// Whether somebody can be used who is not in the other list, or could not be reached then;
    /// both are sorted by node.
    private static func hasNewcomer(
        _ new: [WorkerCandidate],
        since old: [WorkerCandidate]
    ) -> Bool {
        var next = old.startIndex
        for candidate in new where candidate.isReachable {
            while next < old.endIndex, old[next].node < candidate.node { next += 1 }
            guard next < old.endIndex, old[next].node == candidate.node, old[next].isReachable
            else { return true }
        }
        return false
    }

    /// Goes on without workers that are not there any more, or begins again.
    mutating func checkLost(at now: Instant, _ effects: inout [LaunchEffect]) {
        guard let attempt, !attempt.isOver else { return }
        let lost = attempt.workers.filter { worker in
            !candidates.contains { $0.node == worker.node }
        }
        guard let first = lost.first else { return }
        if attempt.isServerRunning {
            let name = first.node.short
            replace(because: "worker \(name) is gone or takes no work", at: now, &effects)
        } else {
            leaveOut(at: now, &effects) { worker in
                lost.contains { $0.node == worker.node } ? "it is gone or takes no work" : nil
            }
        }
    }

    mutating func worker(
        _ node: NodeID,
        says report: WorkerReport,
        at now: Instant,
        _ effects: inout [LaunchEffect]
    ) {
        if report.state == .stopped { releasing.removeAll { $0 == node } }
        confirm(node, by: report, at: now, &effects)
        guard !isKnown(report, of: node) else { return }
        guard let attempt, !attempt.isOver, report.session == attempt.session,
            let index = attempt.workers.firstIndex(where: { $0.node == node })
        else { return }
        let before = attempt.workers[index].report
        // In words only when they are needed: reports come all the time.
        var name: String { "the rpc-server of worker \(node.short)" }
        self.attempt?.workers[index].report = report
        if attempt.phase == .startingWorkers {
            if report.state == .failed {
                leaveOut(at: now, &effects) { $0.node == node ? report.detail : nil }
            } else if report.state == .ready, before?.state != .ready {
                effects.append(.emit(.workerReady(node, report.endpoint)))
                tellProgress(&effects)
                checkWorkersReady(at: now, &effects)
            }
            return
        }
        // A new RPC server has none of the tensors, and llama-server would not notice.
        switch report.state {
        case .ready where report.instance == before?.instance:
            self.attempt?.workers[index].isDoubted = false
        case .ready:
            replace(because: "\(name) was restarted", at: now, &effects)
        case .starting where !attempt.workers[index].isDoubted:
            self.attempt?.workers[index].report = before
            self.attempt?.workers[index].isDoubted = true
            order(node, to: true, &effects)
        case .starting, .stopped:
            replace(because: "\(name) ended", at: now, &effects)
        case .failed:
            replace(because: "\(name) was given up: \(report.detail)", at: now, &effects)
        }
    }

    /// While the RPC servers are looked at, each worker has to say again that its own is there for
    /// this session: whoever was cut off may work for another master by now, and its RPC server
    /// lets everybody in.
    private mutating func confirm(
        _ node: NodeID,
        by report: WorkerReport,
        at now: Instant,
        _ effects: inout [LaunchEffect]
    ) {
        guard let attempt, attempt.phase == .checkingWorkers, report.state == .ready,
            report.session == attempt.session,
            let index = attempt.workers.firstIndex(where: { $0.node == node }),
            report.instance == attempt.workers[index].report?.instance
        else { return }
        self.attempt?.workers[index].confirmedAt = now
        checkProbes(at: now, &effects)
    }

    /// Most reports say again that all is well.
    private func isKnown(_ report: WorkerReport, of node: NodeID) -> Bool {
        guard report.state == .ready,
            let index = attempt?.workers.firstIndex(where: { $0.node == node }),
            attempt?.workers[index].isDoubted == false
        else { return false }
        return attempt?.workers[index].report == report
    }

    mutating func modelRead(
        _ result: Result<ModelFacts, LaunchProblem>,
        for session: SessionID,
        at now: Instant,
        _ effects: inout [LaunchEffect]
    ) {
        guard let attempt, attempt.session == session, !attempt.isOver else { return }
        switch result {
        case .success(let facts):
            self.attempt?.facts = facts
            checkWorkersReady(at: now, &effects)
        case .failure(let problem): fail(problem.message, &effects)
        }
    }

    /// Goes on without the workers for which `reason` gives one.
    mutating func leaveOut(
        at now: Instant,
        _ effects: inout [LaunchEffect],
        reason: (Worker) -> String?
    ) {
        guard let attempt, !attempt.isOver, attempt.phase <= .checkingWorkers else { return }
        for worker in attempt.workers {
            guard let reason = reason(worker) else { continue }
            self.attempt?.workers.removeAll { $0.node == worker.node }
            effects += [
                .cancelTimer(.probe(worker.node)),
                .emit(.workerLeftOut(worker.node, reason: reason)),
            ]
            releasing.append(worker.node)
            releaseRounds = 0
            order(worker.node, to: false, &effects)
        }
        switch attempt.phase {
        case .startingWorkers: checkWorkersReady(at: now, &effects)
        case .checkingWorkers: checkProbes(at: now, &effects)
        case .waitingForMaster, .startingServer, .handshake, .loading, .ready, .failed: break
        }
    }

    private mutating func checkWorkersReady(at now: Instant, _ effects: inout [LaunchEffect]) {
        guard let attempt, !attempt.isOver, attempt.phase == .startingWorkers,
            attempt.facts != nil,
            attempt.workers.allSatisfy({ $0.report?.state == .ready })
        else { return }
        effects += [.cancelTimer(.firstAnswer), .cancelTimer(.workersReady)]
        guard !attempt.workers.isEmpty else {
            startServer(at: now, &effects)
            return
        }
        self.attempt?.checkingBegan = now
        enter(.checkingWorkers, &effects)
        effects += [
            .emit(.checking(workerCount: attempt.workers.count)),
            .setTimer(.probesDone, after: Self.probesLimit),
        ]
        for worker in attempt.workers {
            order(worker.node, to: true, &effects)
            probe(worker, &effects)
        }
    }

    private func probe(_ worker: Worker, _ effects: inout [LaunchEffect]) {
        guard let session = attempt?.session, let endpoint = worker.report?.endpoint else {
            return
        }
        effects.append(.probe(endpoint, worker.node, session))
    }

    func probeAgain(_ node: NodeID, _ effects: inout [LaunchEffect]) {
        guard let attempt, attempt.phase == .checkingWorkers,
            let worker = attempt.workers.first(where: { $0.node == node }),
            worker.deviceCount == nil
        else { return }
        probe(worker, &effects)
    }

    mutating func probed(
        _ node: NodeID,
        _ result: Result<Int, LaunchProblem>,
        for session: SessionID,
        at now: Instant,
        _ effects: inout [LaunchEffect]
    ) {
        guard let attempt, attempt.session == session, !attempt.isOver,
            attempt.phase == .checkingWorkers,
            let index = attempt.workers.firstIndex(where: { $0.node == node })
        else { return }
        switch result {
        case .success(let deviceCount):
            self.attempt?.workers[index].deviceCount = deviceCount
            if let endpoint = attempt.workers[index].report?.endpoint {
                effects.append(.emit(.workerReady(node, endpoint)))
            }
            checkProbes(at: now, &effects)
        case .failure:
            effects.append(.setTimer(.probe(node), after: Self.probeRetryInterval))
        }
    }

    /// Asks workers again whose word, that they work for this session, is old.
    ///
    /// One RPC server may be reached long after another worker's word, and that one may have been
    /// cut off and taken by somebody else meanwhile.
    private mutating func askAgain(_ places: [Int], _ effects: inout [LaunchEffect]) {
        guard let attempt else { return }
        for place in places {
            self.attempt?.workers[place].confirmedAt = nil
            order(attempt.workers[place].node, to: true, &effects)
        }
        effects.append(.setTimer(.probesDone, after: Self.probesLimit))
    }

    private mutating func checkProbes(at now: Instant, _ effects: inout [LaunchEffect]) {
        guard let attempt, attempt.phase == .checkingWorkers,
            attempt.workers.allSatisfy({ $0.deviceCount != nil && $0.confirmedAt != nil })
        else { return }
        let stale = attempt.workers.indices.filter { place in
            attempt.workers[place].confirmedAt.map { now - $0 > Self.confirmationLimit } ?? true
        }
        guard stale.isEmpty else { return askAgain(stale, &effects) }
        effects.append(.cancelTimer(.probesDone))
        if !attempt.workers.isEmpty {
            let duration = now - (attempt.checkingBegan ?? now)
            effects.append(
                .emit(.allReady(workerCount: attempt.workers.count, after: duration))
            )
        }
        startServer(at: now, &effects)
    }
}
