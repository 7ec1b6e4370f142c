import Primitives
import SWIM

// Whether this device takes work.
extension Membership {
    /// A drained device offers no memory, which all members take as: give it no work.
    func drain(_ isDrained: Bool) {
        self.isDrained = isDrained
        stateFacts()
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
