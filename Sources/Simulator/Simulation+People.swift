import LeaderElection
import Primitives
import Runtime

// What people ask of the agents.
extension Simulation {
    /// Somebody asks whoever is master for the model, until one has it on disk: one that ends before
    /// that has forgotten it.
    func askForModel(_ model: ScenarioModel, _ asked: (host: Int, life: Int)? = nil) {
        guard !hosts.contains(where: { $0.disk.keeps(model.wanted) }) else { return }
        var asked = asked
        if asked.map({ hosts[$0.host].life != $0.life || hosts[$0.host].core == nil }) ?? true {
            asked = nil
            for host in hosts where asked == nil {
                guard let loop = host.loop, let core = host.core, !host.isStalled else { continue }
                loop.run {
                    if core.want(model.wanted) { asked = (host.index, host.life) }
                }
            }
        }
        outside(after: .milliseconds(500)) { [unowned self] in askForModel(model, asked) }
    }

    /// Somebody founds the cluster on a device, once; should that device have forgotten it before
    /// it was stored, somebody does so again.
    func askToFound(_ asked: (host: Int, life: Int)? = nil) {
        guard !hosts.contains(where: { $0.disk.hasVoters }) else { return }
        var asked = asked
        if asked.map({ hosts[$0.host].life != $0.life || hosts[$0.host].core == nil }) ?? true {
            let order = scenario.seeds + hosts.indices.filter { !scenario.seeds.contains($0) }
            let host = order.first { hosts[$0].core != nil && !hosts[$0].isStalled }
            if let host, let loop = hosts[host].loop, let core = hosts[host].core {
                loop.run { _ = core.found() }
                asked = (host, hosts[host].life)
            }
        }
        outside(after: .milliseconds(500)) { [unowned self] in askToFound(asked) }
    }

    /// Somebody asks whoever takes itself for master to hand over.
    func askForTransfer(to target: Int) {
        let node = hosts[target].identity
        let masters = hosts.filter { host in
            guard let loop = host.loop, let core = host.core, !host.isStalled else { return false }
            var isMaster = false
            loop.run { isMaster = core.snapshot().master?.node == host.identity }
            return isMaster
        }
        for host in masters {
            guard let loop = host.loop, let core = host.core else { continue }
            let life = host.life
            let answer = Answer()
            loop.run {
                core.transfer(to: node) { [unowned self] outcome in
                    answer.isGiven = true
                    statistics.records["transfer.\(outcome.reason)", default: 0] += 1
                }
            }
            host.hasNews = true
            outside(after: Self.answerLimit) { [unowned self] in
                guard !answer.isGiven, host.life == life, host.core != nil, !host.isStalled else {
                    return
                }
                report("answer", "\(host.name) never said how handing mastership over ended")
            }
        }
    }

    /// Within this time people get an answer, unless whom they asked is gone; a device may stand
    /// still for a while in between.
    static let answerLimit: Duration = .seconds(90)
}

/// Whether somebody was answered; used by the thread that runs the simulation alone.
final class Answer: @unchecked Sendable {
    var isGiven = false
}
