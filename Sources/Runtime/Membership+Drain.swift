import Primitives
import SWIM

// Whether this device takes work.
extension Membership {
    /// A drained device offers no memory, which all members take as: give it no work.
    ///
    /// - Parameter isForGood: it is about to leave, and takes work when it comes back; otherwise
    ///   it stays drained, across restarts too.
    func drain(_ isDrained: Bool, isForGood: Bool = false) {
        self.isDrained = isDrained
        stateFacts()
        guard !isForGood else { return }
        keeper.assumeIsolated { keeper in
            guard keeper.record.isDrained != isDrained else { return }
            keeper.update({ $0.isDrained = isDrained }, completion: {})
        }
    }

    /// What was measured of this device.
    func measured(_ facts: DeviceFacts) {
        measuredFacts = facts
        stateFacts()
    }

    private func stateFacts() {
        // Whom this agent reaches is not measured by whoever measures the device.
        var facts = measuredFacts.with(gaps: machine.own.facts.gaps)
        if isDrained { facts.memoryAvailable = .zero }
        facts.vocabulary = .current
        handle(.facts(facts))
    }
}
