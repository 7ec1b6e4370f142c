import Primitives
import Runtime

// What goes wrong, and gets well again.
extension Simulation {
    func schedule(_ scheduled: ScheduledFault, number: Int) {
        if case .join(let nodes) = scheduled.fault {
            for node in nodes { hosts[node].keepOut() }
        }
        outside(after: scheduled.at) { [unowned self] in
            traceFault(scheduled.fault, number: number, begins: true)
            recordPhase(scheduled.fault, number, begins: true)
            begin(scheduled, number: number)
            guard let lasts = scheduled.lasts else { return }
            outside(after: lasts) { [unowned self] in
                traceFault(scheduled.fault, number: number, begins: false)
                recordPhase(scheduled.fault, number, begins: false)
                end(scheduled.fault, number: number)
            }
        }
    }

    private func recordPhase(_ fault: Fault, _ number: Int, begins: Bool) {
        phases?.change(
            fault: number,
            begins: begins,
            caption: fault.caption(nodeCount: hosts.count),
            at: .nanoseconds(now)
        )
    }

    private func begin(_ scheduled: ScheduledFault, number: Int) {
        let fault = scheduled.fault
        switch fault {
        case .partition, .oneWay, .bridge, .isolation:
            for (from, to) in fault.closedLinks(nodeCount: hosts.count) {
                network.block(from: from, to: to)
            }
        case .crash(let nodes, let disk, let power):
            for node in nodes { hosts[node].crash(disk: disk, power: power) }
        case .stall(let nodes): for node in nodes { hosts[node].stall() }
        case .drift(let nodes, let rate):
            for node in nodes { hosts[node].changeClock(rate: rate) }
        case .link(let from, let to, let change):
            network.change(number, from: from, to: to, change)
        case .rpcServer(let nodes, let does):
            for node in nodes { hosts[node].begin(does) }
        case .jam(let from, let to):
            let end = now + (scheduled.lasts ?? .zero).wholeNanoseconds
            network.jam(number, from: from, to: to, until: end)
        case .slow(let nodes, let factor): for node in nodes { network.slow(node, by: factor) }
        case .reset(let from, let to): reset(from: from, to: to)
        case .jump(let nodes, let distance):
            for node in nodes { hosts[node].jumpClock(by: distance) }
        case .disk(let nodes, .full): for node in nodes { hosts[node].disk.fullCount += 1 }
        case .join(let nodes): for node in nodes { hosts[node].recover(power: true) }
        case .llamaServer(let nodes, let does): for node in nodes { hosts[node].begin(does) }
        }
    }

    private func end(_ fault: Fault, number: Int) {
        switch fault {
        case .partition, .oneWay, .bridge, .isolation:
            for (from, to) in fault.closedLinks(nodeCount: hosts.count) {
                network.unblock(from: from, to: to)
            }
        case .crash(let nodes, _, let power):
            for node in nodes { hosts[node].recover(power: power) }
        case .stall(let nodes): for node in nodes { hosts[node].resume() }
        case .drift(let nodes, _): for node in nodes { hosts[node].changeClock(rate: 1) }
        case .link: network.endChange(number)
        case .rpcServer(let nodes, let does):
            for node in nodes { hosts[node].end(does) }
        case .jam: network.endJam(number)
        case .slow(let nodes, let factor): for node in nodes { network.endSlow(node, by: factor) }
        case .disk(let nodes, .full): for node in nodes { hosts[node].disk.fullCount -= 1 }
        case .llamaServer(let nodes, let does): for node in nodes { hosts[node].end(does) }
        // These happen at one moment.
        case .reset, .jump, .join: break
        }
    }

    /// Both ends are told, each by a packet that may get lost.
    private func reset(from: [Int], to: [Int]) {
        for host in hosts {
            for id in host.streams.keys.sorted() {
                host.streams[id]?.cut { peer in
                    from.contains(host.index) && to.contains(peer)
                        || from.contains(peer) && to.contains(host.index)
                }
            }
        }
    }

    // MARK: - The people

    /// Somebody asks whoever is master for the model, until one accepts.
    func askForModel(_ model: ScenarioModel) {
        for host in hosts where !isModelAsked {
            guard let loop = host.loop, let core = host.core, !host.isStalled else { continue }
            loop.run { if core.want(model.wanted) { isModelAsked = true } }
        }
        guard !isModelAsked else { return }
        outside(after: .milliseconds(500)) { [unowned self] in askForModel(model) }
    }
}
