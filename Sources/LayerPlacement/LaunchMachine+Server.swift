import Primitives

// Phases 3 to 6: llama-server starts, speaks with the workers, loads the model, is ready.
extension LaunchMachine {
    mutating func startServer(at now: Instant, _ effects: inout [LaunchEffect]) {
        guard let attempt, let facts = attempt.facts else { return }
        let plan: LaunchPlan
        do {
            plan = try LaunchPlan(
                facts: facts,
                model: attempt.model,
                workers: attempt.workers,
                master: own
            )
        } catch {
            fail(error.message, &effects)
            return
        }
        self.attempt?.shares = plan.shares
        self.attempt?.split = plan.split
        self.attempt?.serverBegan = now
        let launch = ServerLaunch(
            model: attempt.model,
            workers: attempt.workers.compactMap(\.report?.endpoint),
            tensorSplit: plan.tensorSplit
        )
        enter(.startingServer, &effects)
        effects += [
            .emit(.starting(launch, shares: plan.shares)), .startServer(launch, attempt.session),
        ]
    }

    mutating func server(
        _ event: ServerEvent,
        of session: SessionID,
        at now: Instant,
        _ effects: inout [LaunchEffect]
    ) {
        guard let attempt, attempt.session == session, attempt.isServerRunning else { return }
        switch event {
        case .started, .handshakes:
            enter(.handshake, &effects)
            livens(&effects)
        case .loads(let fraction): loads(fraction, &effects)
        case .placed(let device, let bytes):
            placed(bytes, on: device, &effects)
            livens(&effects)
        case .assigned(let layer, let device):
            guard attempt.assigned.count < Self.layerLimit else { return }
            self.attempt?.assigned[layer] = .some(device)
        case .loaded:
            guard attempt.phase < .ready else { return }
            adoptAssigned()
            stallCount = 0
            rejectionCount = 0
            effects += [
                .readTransfers, .cancelTimer(.stalled), .emit(.loaded(after: now - attempt.began)),
            ]
            enter(.ready, &effects)
        case .complained(let text): self.attempt?.complaint = text
        case .rejected(let text):
            self.attempt?.complaint = text
            self.attempt?.isRejected = true
        case .ended(let end): ended(end, at: now, &effects)
        }
    }

    private mutating func ended(_ end: String, at now: Instant, _ effects: inout [LaunchEffect]) {
        guard let attempt else { return }
        let complaint = attempt.complaint.map { ": \($0)" } ?? ""
        let reason = "llama-server ended (\(end))\(complaint)"
        rejectionCount = attempt.isRejected ? rejectionCount + 1 : 0
        guard rejectionCount >= Self.rejectionLimit else {
            replace(because: reason, at: now, &effects)
            return
        }
        // Workers come and go; a file stays as it is.
        rejectionCount = 0
        // What to do must not be cut off what all are told.
        let limit = LaunchReport.messageByteLimit - Self.rejectionAdvice.utf8.count
        let words = (attempt.complaint ?? reason).cut(toByteCount: limit)
        fail(words + Self.rejectionAdvice, retryAfter: nil, &effects)
    }

    private static let rejectionAdvice =
        ". A damaged file, or one for another llama.cpp. Not tried again: get it anew (caravan "
        + "model get), and launch it"

    private static let layerLimit = 1024

    private mutating func loads(_ fraction: Double?, _ effects: inout [LaunchEffect]) {
        guard let attempt, attempt.phase < .ready else { return }
        let isNew = attempt.phase < .loading
        enter(.loading, &effects)
        // The same share again tells nothing.
        if isNew || fraction.map({ $0 > attempt.loadedShare }) ?? false { livens(&effects) }
        guard let fraction else { return }
        self.attempt?.loadedShare = max(fraction, attempt.loadedShare)
        let progress = UInt16(max(0, min(1, fraction)) * 10_000)
        // Every percent is enough for people.
        guard progress / 100 != (report?.progress ?? 0) / 100 || report?.progress == nil else {
            return
        }
        tellProgress(&effects, progress: progress)
    }

    /// A llama-server that does something is given time again.
    func livens(_ effects: inout [LaunchEffect]) {
        guard let attempt, attempt.phase < .ready, !Mutant.waitsForEver.isPlanted else {
            return
        }
        let limit = attempt.phase == .loading ? Self.loadingLimit : Self.handshakeLimit
        effects.append(.setTimer(.stalled, after: limit))
    }

    /// It waits for ever for a worker whose stream is half-open, and says nothing of it.
    mutating func stalled(at now: Instant, _ effects: inout [LaunchEffect]) {
        guard let attempt, attempt.isServerRunning, attempt.phase < .ready else { return }
        guard ballot != nil else {
            // It may be master again in a moment, and goes on then.
            livens(&effects)
            return
        }
        stallCount += 1
        let limit = attempt.phase == .loading ? Self.loadingLimit : Self.handshakeLimit
        let doing = attempt.phase == .loading ? "loading" : "speaking with the workers"
        let reason = "llama-server showed no progress for \(limit.inSeconds) s while \(doing)"
        if stallCount < Self.stallLimit {
            replace(because: reason, at: now, &effects)
        } else {
            stallCount = 0
            fail("\(reason), \(Self.stallLimit) times in a row", &effects)
        }
    }

    private mutating func placed(
        _ bytes: ByteCount,
        on device: UInt8?,
        _ effects: inout [LaunchEffect]
    ) {
        if let index = attempt?.shares.firstIndex(where: { $0.device == device }) {
            // The master's own memory comes in several buffers.
            let before = attempt?.shares[index].modelBytes ?? .zero
            attempt?.shares[index].modelBytes = before + bytes
            tellProgress(&effects, progress: report?.progress)
        }
    }

    /// What llama-server said of each layer counts more than what was planned.
    private mutating func adoptAssigned() {
        guard let attempt else { return }
        for index in attempt.shares.indices {
            let device = attempt.shares[index].device
            let layers = attempt.assigned.keys.filter { attempt.assigned[$0] == .some(device) }
            guard let first = layers.min(), let last = layers.max(),
                last - first + 1 == layers.count
            else { continue }
            self.attempt?.shares[index].first = first
            self.attempt?.shares[index].end = last + 1
        }
    }

    // MARK: - Telling

    mutating func enter(_ phase: LaunchPhase, _ effects: inout [LaunchEffect]) {
        guard let attempt, attempt.phase < phase else { return }
        self.attempt?.phase = phase
        effects.append(.emit(.phase(phase, attempt.session)))
        tellProgress(&effects)
    }

    /// Tells all members how far the launch is.
    mutating func tellProgress(
        _ effects: inout [LaunchEffect],
        message: String? = nil,
        progress: UInt16? = nil
    ) {
        guard let attempt, let ballot else { return }
        nextReport += 1
        let report = LaunchReport(
            ballot: ballot,
            number: nextReport,
            model: attempt.model,
            phase: attempt.phase,
            progress: attempt.phase == .loading ? progress : nil,
            message: message ?? Self.sentence(for: attempt),
            split: attempt.split,
            shares: attempt.shares
        )
        self.report = report
        forgetTransfers(before: report.phase)
        effects += [.broadcast(.progress(report)), .emit(.progressChanged)]
    }

    private static func sentence(for attempt: Attempt) -> String {
        let count = attempt.workers.count
        let ready = attempt.workers.count { $0.report?.state == .ready }
        switch attempt.phase {
        case .waitingForMaster: return "Waiting for a master to be elected"
        case .startingWorkers:
            return "Starting RPC servers on \(count) worker(s), \(ready) ready"
        case .checkingWorkers: return "Checking connectivity to \(count) RPC worker(s)"
        case .startingServer:
            return count == 0
                ? "Starting llama-server on the master alone"
                : "Starting llama-server with distributed inference"
        case .handshake: return "llama-server speaks with \(count) worker(s)"
        case .loading: return "Loading the model on \(max(1, count)) device(s)"
        case .ready:
            return count == 0
                ? "Ready on the master alone" : "Ready on \(count) worker(s)"
        case .failed: return "The launch failed"
        }
    }
}
