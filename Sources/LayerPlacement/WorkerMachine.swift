package import Primitives

package enum WorkerInput: Equatable, Sendable {
    case order(WorkerOrder, from: NodeID)
    /// The ballot that this member obeys; nil while there is no master.
    case obeys(Ballot?)
    /// The RPC server answers.
    case serverReady(instance: UInt64)
    /// The RPC server is gone and will be started again.
    case serverDown
    /// The RPC server was given up.
    case serverFailed(reason: String)
    /// The device, and with it its RPC server, is reached elsewhere now.
    case moved(Endpoint)
    case timer(WorkerTimer)
}

package enum WorkerTimer: Hashable, Sendable {
    /// No master has asked for the RPC server for too long.
    case orphaned
}

extension WorkerTimer: TimerName {
    package static var slotCount: Int { 1 }

    package var slot: Int? {
        switch self {
        case .orphaned: 0
        }
    }
}

package enum WorkerEffect: Equatable, Sendable {
    /// Start the RPC server; if one runs, stop it first: what it holds belongs to another session.
    case startServer
    case stopServer
    case report(WorkerReport, to: NodeID)
    case setTimer(WorkerTimer, after: Duration)
    case cancelTimer(WorkerTimer)
    case emit(WorkerEvent)
}

package enum WorkerEvent: Equatable, Sendable {
    case begins(SessionID)
    case ends(SessionID, because: String)
}

/// What a device does as a worker: it runs an RPC server for one session at a time, for the
/// master that it obeys and for nobody else.
package struct WorkerMachine: Sendable {
    /// How long the RPC server outlives its master's last order.
    ///
    /// Longer than a lease on purpose: a hiccup of the network must not cost minutes of loading.
    /// A higher ballot's order for another session ends it at once.
    package static let orphanGrace: Duration = .seconds(10)

    package private(set) var service: Service?
    private var endpoint: Endpoint
    private var obeyed: Ballot?
    /// The latest session that the master ended, and the ballot under which it did.
    private var endedSession: SessionID?
    private var endedUnder: Ballot?

    package struct Service: Equatable, Sendable {
        package var session: SessionID
        /// The ballot of the last order.
        package var ballot: Ballot
        package var master: NodeID
        package var state: WorkerReport.State
        package var instance: UInt64
        package var detail: String
    }

    /// - Parameter endpoint: where the device's RPC server is reached.
    package init(endpoint: Endpoint) {
        self.endpoint = endpoint
    }

    package mutating func handle(
        _ input: WorkerInput,
        at now: Instant,
        effects: inout [WorkerEffect]
    ) {
        switch input {
        case .order(let order, let master): obey(order, from: master, &effects)
        case .obeys(let ballot): obeyed = ballot
        case .serverReady(let instance):
            service?.state = .ready
            service?.instance = instance
            tell(&effects)
        case .serverDown:
            service?.state = .starting
            service?.instance = 0
            tell(&effects)
        case .serverFailed(let reason):
            service?.state = .failed
            service?.detail = reason
            tell(&effects)
        case .moved(let endpoint):
            self.endpoint = endpoint
            tell(&effects)
        case .timer(.orphaned): end(because: "no master asked for it", &effects)
        }
    }

    private mutating func obey(
        _ order: WorkerOrder,
        from master: NodeID,
        _ effects: inout [WorkerEffect]
    ) {
        // A ballot counts once this member has obeyed it, which puts it on disk first; the order
        // comes again.
        guard order.ballot == obeyed, order.ballot.node == master else { return }
        guard order.serves else {
            stop(order, for: master, &effects)
            return
        }
        // Datagrams overtake each other: what was ended stays ended, and of the sessions of one
        // ballot the latest holds.
        if let endedSession, order.session <= endedSession, order.ballot == endedUnder { return }
        if let service, service.ballot == order.ballot, order.session < service.session { return }
        effects.append(.setTimer(.orphaned, after: Self.orphanGrace))
        if service?.session == order.session {
            service?.ballot = order.ballot
            service?.master = master
            tell(&effects)
            return
        }
        if Mutant.keepsOldSession.isPlanted, service != nil {
            service?.session = order.session
            service?.ballot = order.ballot
            service?.master = master
            tell(&effects)
            return
        }
        if let old = service {
            effects.append(.emit(.ends(old.session, because: "another session begins")))
        }
        service = Service(
            session: order.session,
            ballot: order.ballot,
            master: master,
            state: .starting,
            instance: 0,
            detail: ""
        )
        effects += [.emit(.begins(order.session)), .startServer]
        tell(&effects)
    }

    private mutating func stop(
        _ order: WorkerOrder,
        for master: NodeID,
        _ effects: inout [WorkerEffect]
    ) {
        // A late word about an earlier session does not end the one that has begun since.
        if let service, service.ballot < order.ballot || service.session <= order.session {
            end(because: "the master ended it", &effects)
        }
        if endedUnder != order.ballot || endedSession.map({ $0 < order.session }) ?? true {
            endedSession = order.session
            endedUnder = order.ballot
        }
        let report = WorkerReport(
            session: order.session,
            state: .stopped,
            instance: 0,
            endpoint: endpoint
        )
        effects.append(.report(report, to: master))
    }

    private mutating func end(because reason: String, _ effects: inout [WorkerEffect]) {
        guard let old = service else { return }
        service = nil
        effects += [
            .cancelTimer(.orphaned), .stopServer, .emit(.ends(old.session, because: reason)),
        ]
    }

    private func tell(_ effects: inout [WorkerEffect]) {
        guard let service else { return }
        let report = WorkerReport(
            session: service.session,
            state: service.state,
            instance: service.instance,
            endpoint: endpoint,
            detail: service.detail
        )
        effects.append(.report(report, to: service.master))
    }
}
