import Primitives
import Runtime

/// How far a device is with leaving its cluster.
enum DepartureState: Equatable {
    /// It was asked to, in this life; with `comesBack` it starts again as soon as it is gone.
    case asked(life: Int, comesBack: Bool)
    /// The others do not need it any more: it says goodbye, and ends what runs.
    case saysGoodbye(life: Int, comesBack: Bool, pending: Int)
    case gone
}

// As `caravan leave` does it.
extension SimulatedHost {
    private static let goodbyeLimit: Duration = .seconds(12)

    /// Whether it was asked to leave and still runs.
    var isLeaving: Bool {
        switch departure {
        case .asked, .saysGoodbye: true
        case .gone, nil: false
        }
    }

    func leave() {
        guard let loop, let core, departure == nil else { return }
        departure = .asked(life: life, comesBack: false)
        let life = life
        // A device that stands still hears of it later.
        simulation.schedule(
            .action(loop) { [unowned self] in
                let hasBegun = core.depart(isForGood: true) { [unowned self] _ in
                    isFree(core, life: life)
                }
                if !hasBegun { departure = nil }
            },
            after: 0,
            node: index
        )
        simulation.outside(after: Simulation.answerLimit) { [unowned self] in
            guard case .asked(life, _) = departure, self.life == life, self.core != nil,
                !isStalled
            else { return }
            simulation.report("answer", "\(name) was asked to leave and never went")
        }
    }

    private func isFree(_ core: AgentCore, life: Int) {
        guard case .asked(life, let comesBack) = departure else { return }
        departure = .saysGoodbye(life: life, comesBack: comesBack, pending: 2)
        core.leave { [unowned self] in finishOne(life) }
        simulation.outside(after: Self.goodbyeLimit) { [unowned self] in
            guard case .saysGoodbye(life, _, _) = departure else { return }
            isGone()
        }
    }

    func goodbyeSpread() {
        if case .saysGoodbye(let life, _, _) = departure { finishOne(life) }
    }

    private func finishOne(_ life: Int) {
        guard case .saysGoodbye(life, let comesBack, let pending) = departure else { return }
        departure = .saysGoodbye(life: life, comesBack: comesBack, pending: pending - 1)
        guard pending == 1 else { return }
        // Not in the middle of what the agent does.
        simulation.outside(after: .milliseconds(1), node: index) { [unowned self] in
            guard case .saysGoodbye(life, _, 0) = departure else { return }
            isGone()
        }
    }

    private func isGone() {
        guard case .saysGoodbye(let life, let comesBack, _) = departure else { return }
        guard life == self.life, core != nil else {
            departure = nil
            return
        }
        departure = .gone
        stop()
        if comesBack {
            simulation.outside(after: .milliseconds(100)) { [unowned self] in comeBack() }
        }
    }

    /// Somebody starts the agent again; one that is not gone yet comes back when it is.
    func comeBack() {
        switch departure {
        case nil: break
        case .asked(let life, _):
            departure =
                life == self.life && core != nil ? .asked(life: life, comesBack: true) : nil
        case .saysGoodbye(let life, _, let pending):
            departure =
                life == self.life && core != nil
                ? .saysGoodbye(life: life, comesBack: true, pending: pending) : nil
        case .gone:
            departure = nil
            recover(power: false)
        }
    }

    /// Somebody asks it to take no work any more, or to take work again; the latter again when it
    /// runs, if it does not run now.
    func drain(_ isDrained: Bool) {
        guard let loop, let core else {
            isUndrainDue = !isDrained
            return
        }
        let action = {
            if isDrained {
                _ = core.depart(isForGood: false) { _ in }
            } else {
                core.undrain()
            }
        }
        simulation.schedule(.action(loop, action), after: 0, node: index)
    }
}
