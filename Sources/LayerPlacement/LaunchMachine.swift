import GGUF
package import Primitives

/// Runs the wanted model on what the cluster has, and runs it again when that changes: the six
/// phases of a launch, on the master.
///
/// llama-server is disposable: it aborts when a worker dies, hangs when one hangs, and does not
/// notice when one is replaced. So every change of what it depends on ends it and begins a new
/// session, with backoff.
package struct LaunchMachine: Sendable {
    package internal(set) var wanted: WantedState
    /// The newest that is known of the launch, here or on the master.
    package internal(set) var report: LaunchReport?
    /// How far the weights of that launch are on their way; nil where nothing counts them.
    package internal(set) var transfers: TransferReport?
    package internal(set) var attempt: Attempt?

    let own: NodeID
    /// This member's ballot while it is master.
    var ballot: Ballot?
    var candidates: [WorkerCandidate] = []
    var isCollecting = false
    var collectRounds = 0
    /// A newer wanted state than this master's own, of a side that it meets.
    var rival: WantedState?
    var nextSession: UInt32 = 0
    var nextReport: UInt32 = 0
    /// When attempts failed lately.
    var failures: [Instant] = []
    /// How many llama-servers in a row went silent before they were ready.
    var stallCount = 0
    /// How many llama-servers in a row said that the model is at fault.
    var rejectionCount = 0
    var announcements = 0
    /// Workers that shall stop and have not said that they did.
    var releasing: [NodeID] = []
    /// How often they were told; who is gone never says that it stopped.
    var releaseRounds = 0
    var lastSession: SessionID?

    /// One session: one llama-server with its workers.
    package struct Attempt: Equatable, Sendable {
        package let session: SessionID
        package let model: WantedModel
        package internal(set) var phase = LaunchPhase.startingWorkers
        package internal(set) var workers: [Worker]
        package internal(set) var shares: [DeviceShare] = []
        var split: [UInt32] = []
        var facts: ModelFacts?
        let began: Instant
        var checkingBegan: Instant?
        var serverBegan: Instant?
        var assigned: [UInt16: UInt8?] = [:]
        /// Of the weights, 0…1.
        var loadedShare = 0.0
        var meter = TransferMeter()
        var complaint: String?
        /// llama-server said that the model is at fault.
        var isRejected = false
        /// Given up; `retry` or new candidates begin another.
        var isOver = false

        var isServerRunning: Bool { serverBegan != nil && !isOver }
    }

    package struct Worker: Equatable, Sendable {
        package let node: NodeID
        let memory: ByteCount
        package internal(set) var report: WorkerReport?
        package internal(set) var deviceCount: Int?
        /// It said that its RPC server is not ready, once; a late datagram may have said so.
        var isDoubted = false
        /// When it last said, since its RPC server is looked at, that it works for this session.
        var confirmedAt: Instant?
    }

    static let announceInterval: Duration = .milliseconds(500)
    /// A worker stops by itself when it has not been asked for this long.
    static let releaseRoundLimit = 20
    /// Members are asked several times what is wanted: datagrams get lost.
    static let collectInterval: Duration = .milliseconds(200)
    static let collectRoundCount = 3
    static let firstAnswerLimit: Duration = .seconds(2)
    static let workersReadyLimit: Duration = .seconds(20)
    static let probeRetryInterval: Duration = .milliseconds(500)
    static let probesLimit: Duration = .seconds(15)
    /// For how long a worker's word counts; nobody obeys another master so soon after it.
    static let confirmationLimit: Duration = .seconds(1)
    /// Speaking with a worker takes dozens of short turn-arounds, seconds on the worst of links.
    static let handshakeLimit: Duration = .seconds(30)
    /// Weights that have been read may still be on their way to a slow worker, and the first
    /// token of a large model takes a while: nothing tells of either.
    static let loadingLimit: Duration = .seconds(300)
    static let stallLimit = 2
    static let rejectionLimit = 2
    static let abandonGrace: Duration = .seconds(10)
    static let failureLimit = 6
    static let failurePeriod: Duration = .seconds(120)
    static let failedRetryInterval: Duration = .seconds(30)

    package init(own: NodeID, wanted: WantedState) {
        self.own = own
        self.wanted = wanted
    }

    package mutating func handle(
        _ input: LaunchInput,
        at now: Instant,
        effects: inout [LaunchEffect]
    ) {
        switch input {
        case .reigns(let ballot): reigns(ballot, at: now, &effects)
        case .follows(let other): follows(other, &effects)
        case .candidates(let candidates): changed(candidates, at: now, &effects)
        case .want(let model): want(model, at: now, &effects)
        case .heard(let state, let sender): heard(state, from: sender, at: now, &effects)
        case .report(let report, let sender): worker(sender, says: report, at: now, &effects)
        case .progress(let report): heardProgress(report, &effects)
        case .transfers(let report): heardTransfers(report, &effects)
        case .transferred(let transfers): transferred(transfers, at: now, &effects)
        case .modelRead(let session, let result):
            modelRead(result, for: session, at: now, &effects)
        case .probed(let session, let node, let result):
            probed(node, result, for: session, at: now, &effects)
        case .server(let session, let event): server(event, of: session, at: now, &effects)
        case .timer(let timer): fired(timer, at: now, &effects)
        }
    }

    private mutating func fired(
        _ timer: LaunchTimer,
        at now: Instant,
        _ effects: inout [LaunchEffect]
    ) {
        switch timer {
        case .collected: collected(at: now, &effects)
        case .announce: announce(&effects)
        case .firstAnswer:
            leaveOut(at: now, &effects) { $0.report == nil ? "it did not answer" : nil }
        case .workersReady:
            leaveOut(at: now, &effects) { worker in
                worker.report?.state == .ready
                    ? nil
                    : "its rpc-server was not ready after \(Self.workersReadyLimit.inSeconds) s"
            }
        case .probe(let node): probeAgain(node, &effects)
        case .probesDone:
            guard attempt?.phase == .checkingWorkers else { return }
            leaveOut(at: now, &effects) { worker in
                guard worker.deviceCount != nil else {
                    return "its rpc-server could not be reached from the master"
                }
                return worker.confirmedAt == nil ? "it did not answer" : nil
            }
        case .stalled: stalled(at: now, &effects)
        case .retry:
            guard ballot != nil, wanted.model != nil, attempt.map(\.isOver) ?? true else { return }
            begin(at: now, &effects)
        case .abandoned:
            if ballot == nil { abandon(&effects) }
        }
    }

    /// Orders and news are said again until they are obeyed and known: datagrams get lost.
    private mutating func announce(_ effects: inout [LaunchEffect]) {
        guard let ballot else { return }
        effects.append(.setTimer(.announce, after: Self.announceInterval))
        if let attempt, !attempt.isOver {
            for worker in attempt.workers { order(worker.node, to: true, &effects) }
            if attempt.isServerRunning, attempt.phase < .ready { effects.append(.readTransfers) }
        }
        for node in releasing { order(node, to: false, &effects) }
        releaseRounds += 1
        if releaseRounds >= Self.releaseRoundLimit { releasing = [] }
        announcements += 1
        // Said even if nothing was ever wanted here: members that came later may know better.
        guard announcements % (wanted.ballot == nil ? 8 : 4) == 0, !isCollecting else { return }
        if rival != nil {
            // Nobody gave way, so nobody stands behind it any more: it is outbid.
            take(wanted.model, &effects)
        } else {
            effects.append(.broadcast(.wanted(wanted)))
        }
        if let report, report.ballot == ballot { effects.append(.broadcast(.progress(report))) }
        if let transfers, transfers.ballot == ballot {
            effects.append(.broadcast(.transfers(transfers)))
        }
    }

    func order(_ node: NodeID, to serves: Bool, _ effects: inout [LaunchEffect]) {
        guard let ballot, let session = attempt?.session ?? lastSession else { return }
        let order = WorkerOrder(ballot: ballot, session: session, serves: serves)
        effects.append(.send(.order(order), to: node))
    }

    // MARK: - Beginning and ending

    mutating func begin(at now: Instant, _ effects: inout [LaunchEffect]) {
        guard let ballot, let model = wanted.model else { return }
        nextSession += 1
        let session = SessionID(ballot: ballot, number: nextSession)
        lastSession = session
        if attempt?.isServerRunning == true { effects.append(.stopServer) }
        let workers = candidates.filter(\.isReachable).prefix(Self.workerLimit).map {
            Worker(node: $0.node, memory: $0.memory)
        }
        // Who takes no more work but is still there is told as well.
        releasing = (attempt?.workers ?? []).map(\.node).filter { node in
            !workers.contains { $0.node == node }
        }
        releaseRounds = 0
        attempt = Attempt(session: session, model: model, workers: Array(workers), began: now)
        effects += [
            .cancelTimer(.retry), .cancelTimer(.stalled), .serving(true),
            .emit(.phase(.startingWorkers, session)),
            .readModel(model, session),
            .setTimer(.announce, after: Self.announceInterval),
            .setTimer(.firstAnswer, after: Self.firstAnswerLimit),
            .setTimer(.workersReady, after: Self.workersReadyLimit),
        ]
        for worker in workers { order(worker.node, to: true, &effects) }
        for candidate in candidates where !candidate.isReachable {
            effects.append(.emit(.workerLeftOut(candidate.node, reason: Self.unreachable)))
        }
        tellProgress(&effects)
    }

    /// Why a member is left out from the start; said once an attempt.
    static let unreachable =
        "no stream from the master to it can be opened (caravan doctor network says more)"

    /// llama.cpp takes at most 16 devices.
    static let workerLimit = 16

    mutating func end(_ effects: inout [LaunchEffect]) {
        effects += [
            .cancelTimer(.retry), .cancelTimer(.stalled), .stopServer, .serving(false),
            .emit(.stopped),
        ]
        release(&effects)
        attempt = nil
        report = nil
        transfers = nil
        effects.append(.emit(.progressChanged))
    }

    private mutating func release(_ effects: inout [LaunchEffect]) {
        releaseRounds = 0
        releasing = attempt?.workers.map(\.node) ?? []
        for node in releasing { order(node, to: false, &effects) }
    }

    /// Ends the session and begins another one, sooner or later.
    mutating func replace(
        because reason: String,
        at now: Instant,
        _ effects: inout [LaunchEffect]
    ) {
        guard attempt?.isOver == false else { return }
        failures.removeAll { now - $0 > Self.failurePeriod }
        failures.append(now)
        guard failures.count <= Self.failureLimit else {
            fail("\(reason) — after \(failures.count) attempts", &effects)
            return
        }
        let delay = min(
            Duration.milliseconds(100) * (1 << (2 * (failures.count - 1))),
            .seconds(10)
        )
        attempt?.isOver = true
        attempt?.phase = .startingWorkers
        effects += [
            .cancelTimer(.stalled), .stopServer, .emit(.replacing(because: reason)),
            .setTimer(.retry, after: delay),
        ]
        tellProgress(&effects, message: "Starting again: \(reason)")
    }

    /// Gives the launch up until the cluster changes or somebody asks for it again, or for a while.
    mutating func fail(
        _ reason: String,
        retryAfter delay: Duration? = failedRetryInterval,
        _ effects: inout [LaunchEffect]
    ) {
        guard attempt?.isOver == false else { return }
        attempt?.isOver = true
        attempt?.phase = .failed
        effects += [.cancelTimer(.stalled), .stopServer, .serving(false)]
        effects.append(delay.map { .setTimer(.retry, after: $0) } ?? .cancelTimer(.retry))
        effects.append(.emit(.failed(reason: reason, retryAfter: delay)))
        release(&effects)
        tellProgress(&effects, message: reason)
    }
}
