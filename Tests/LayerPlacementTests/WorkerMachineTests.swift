import LayerPlacement
import Primitives
import Testing

private let master = NodeID(1)
private let endpoint = Endpoint(address: .v4(0x7F00_0001), port: 50052)

private func session(_ number: UInt32, term: UInt64 = 1, node: NodeID = master) -> SessionID {
    SessionID(ballot: Ballot(term: term, node: node), number: number)
}

private final class Driven {
    var machine = WorkerMachine(endpoint: endpoint)

    @discardableResult
    func handle(_ input: WorkerInput) -> [WorkerEffect] {
        var effects: [WorkerEffect] = []
        machine.handle(input, at: .origin, effects: &effects)
        return effects
    }

    func order(
        _ session: SessionID,
        term: UInt64 = 1,
        node: NodeID = master,
        serves: Bool = true
    ) -> [WorkerEffect] {
        let order = WorkerOrder(
            ballot: Ballot(term: term, node: node),
            session: session,
            serves: serves
        )
        return handle(.order(order, from: node))
    }

    init(obeys term: UInt64? = 1) {
        handle(.obeys(term.map { Ballot(term: $0, node: master) }))
    }
}

private func states(_ effects: [WorkerEffect]) -> [WorkerReport.State] {
    effects.compactMap { effect in
        if case .report(let report, _) = effect { return report.state }
        return nil
    }
}

struct WorkerMachineTests {
    @Test func `a worker that moved says where its RPC server is now`() {
        let driven = Driven()
        let moved = Endpoint(address: .v4(0x0A00_0005), port: 50052)
        #expect(driven.handle(.moved(moved)) == [])
        let effects = driven.order(session(1)) + driven.handle(.moved(endpoint))
        let endpoints = effects.compactMap { effect in
            if case .report(let report, _) = effect { return report.endpoint }
            return nil
        }
        #expect(endpoints == [moved, endpoint])
    }

    @Test func `an order starts the RPC server, and reports follow each change`() {
        let driven = Driven()
        let effects = driven.order(session(1))
        #expect(effects.contains(.startServer))
        #expect(effects.contains(.emit(.begins(session(1)))))
        #expect(states(effects) == [.starting])
        #expect(
            driven.handle(.serverReady(instance: 7)) == [
                .report(
                    WorkerReport(
                        session: session(1),
                        state: .ready,
                        instance: 7,
                        endpoint: endpoint
                    ),
                    to: master
                )
            ]
        )
        #expect(states(driven.handle(.serverDown)) == [.starting])
        #expect(states(driven.handle(.serverReady(instance: 8))) == [.ready])
        #expect(driven.machine.service?.instance == 8)
        let failed = driven.handle(.serverFailed(reason: "no such program"))
        #expect(states(failed) == [.failed])
        // The order comes again and again; each time the state is told, nothing is started.
        let again = driven.order(session(1))
        #expect(states(again) == [.failed] && !again.contains(.startServer))
    }

    @Test func `orders of a ballot that it does not obey, or in somebody's name, are ignored`() {
        for obeyed in [nil, 1, 3] as [UInt64?] {
            let driven = Driven(obeys: obeyed)
            #expect(driven.order(session(1), term: 2).isEmpty)
            let order = WorkerOrder(
                ballot: Ballot(term: 1, node: master),
                session: session(1),
                serves: true
            )
            #expect(driven.handle(.order(order, from: NodeID(9))).isEmpty)
            #expect(driven.machine.service == nil)
        }
    }

    @Test func `another session ends the first, with a fresh RPC server`() {
        let driven = Driven()
        _ = driven.order(session(1))
        driven.handle(.serverReady(instance: 7))
        let effects = driven.order(session(2))
        #expect(effects.contains(.startServer))
        #expect(effects.contains(.emit(.ends(session(1), because: "another session begins"))))
        #expect(states(effects) == [.starting])
        #expect(driven.machine.service?.instance == 0)
    }

    @Test func `a late order for an earlier session neither begins nor ends anything`() {
        let driven = Driven()
        _ = driven.order(session(1))
        _ = driven.order(session(2))
        #expect(driven.order(session(1)).isEmpty)
        let stopped = driven.order(session(1), serves: false)
        #expect(states(stopped) == [.stopped])
        #expect(!stopped.contains(.stopServer))
        #expect(driven.machine.service?.session == session(2))
    }

    @Test func `what the master ended stays ended, however late its orders come`() {
        let driven = Driven()
        _ = driven.order(session(1))
        let effects = driven.order(session(1), serves: false)
        #expect(effects.contains(.stopServer) && effects.contains(.cancelTimer(.orphaned)))
        #expect(driven.order(session(1)).isEmpty)
        #expect(driven.machine.service == nil)
        // Said again, it is answered again.
        #expect(states(driven.order(session(1), serves: false)) == [.stopped])
        #expect(driven.order(session(2)).contains(.startServer))
    }

    @Test func `a renewed ballot keeps the session`() {
        let driven = Driven()
        _ = driven.order(session(1))
        driven.handle(.obeys(Ballot(term: 4, node: master)))
        let effects = driven.order(session(1), term: 4)
        #expect(!effects.contains(.startServer))
        #expect(states(effects) == [.starting])
        #expect(driven.order(session(2), term: 1).isEmpty, "the old ballot is superseded")
    }

    @Test func `a higher ballot's order counts, even for a session that began earlier`() {
        let driven = Driven(obeys: nil)
        let rival = Ballot(term: 7, node: NodeID(2))
        driven.handle(.obeys(rival))
        _ = driven.order(session(3, term: 7, node: NodeID(2)), term: 7, node: NodeID(2))
        // Its master gave way; the other one renewed its ballot and goes on with its session.
        driven.handle(.obeys(Ballot(term: 8, node: master)))
        let effects = driven.order(session(1, term: 5), term: 8)
        #expect(effects.contains(.startServer))
        #expect(driven.machine.service?.session == session(1, term: 5))
    }

    @Test func `without orders the RPC server ends, and begins again with the next one`() {
        let driven = Driven()
        let effects = driven.order(session(1))
        #expect(effects.contains(.setTimer(.orphaned, after: .seconds(10))))
        let ended = driven.handle(.timer(.orphaned))
        #expect(ended.contains(.stopServer))
        #expect(ended.contains(.emit(.ends(session(1), because: "no master asked for it"))))
        #expect(driven.handle(.timer(.orphaned)).isEmpty)
        #expect(driven.order(session(1)).contains(.startServer))
    }

    @Test func `an RPC server that nobody asked for is told to nobody`() {
        let driven = Driven()
        for input in [WorkerInput.serverReady(instance: 3), .serverDown, .serverFailed(reason: "")]
        {
            #expect(driven.handle(input).isEmpty)
        }
    }
}
