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

    private func begin(_ scheduled: ScheduledFault, number: Int) {
        let fault = scheduled.fault
        switch fault {
        case .partition, .oneWay, .bridge, .isolation:
            for (from, to) in closedLinks(of: fault) { network.block(from: from, to: to) }
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
        case .transfer(let target): askForTransfer(to: target)
        case .leave(let nodes): for node in nodes { hosts[node].leave() }
        case .drain(let nodes): for node in nodes { hosts[node].drain(true) }
        }
    }

    private func end(_ fault: Fault, number: Int) {
        switch fault {
        case .partition, .oneWay, .bridge, .isolation:
            for (from, to) in closedLinks(of: fault) { network.unblock(from: from, to: to) }
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
        case .leave(let nodes): for node in nodes { hosts[node].comeBack() }
        case .drain(let nodes): for node in nodes { hosts[node].drain(false) }
        // These happen at one moment.
        case .reset, .jump, .join, .transfer: break
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

    /// Nodes that no side names are a side of their own.
    private func closedLinks(of fault: Fault) -> [(from: Int, to: Int)] {
        let nodes = hosts.indices
        var closed: [(Int, Int)] = []
        switch fault {
        case .oneWay(let from, let to):
            for source in from { for target in to { closed.append((source, target)) } }
        case .partition(let sides):
            for source in nodes {
                for target in nodes where side(of: source, sides) != side(of: target, sides) {
                    closed.append((source, target))
                }
            }
        case .bridge(let sides, let middle):
            for source in nodes where source != middle {
                for target in nodes
                where target != middle && side(of: source, sides) != side(of: target, sides) {
                    closed.append((source, target))
                }
            }
        case .isolation(let isolated):
            for source in isolated {
                for target in isolated where target != source { closed.append((source, target)) }
            }
        case .crash, .stall, .drift, .link, .rpcServer, .jam, .slow, .reset, .jump, .disk, .join,
            .llamaServer, .transfer, .leave, .drain:
            break
        }
        return closed
    }

    private func side(of node: Int, _ sides: [[Int]]) -> Int {
        sides.firstIndex { $0.contains(node) } ?? -1
    }
}
