package import SWIM

extension AgentCore {
    /// This agent, as it presents itself; looked at without a copy of all that it knows.
    package var own: Member { membership.assumeIsolated { $0.machine.own } }
}
