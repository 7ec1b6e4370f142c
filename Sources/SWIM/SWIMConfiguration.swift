/// How the failure detector is tuned; the defaults are memberlist's for a local network.
package struct SWIMConfiguration: Sendable, Equatable {
    /// How often a member is probed.
    package var period: Duration = .seconds(1)
    /// How long a direct probe may take before others are asked.
    package var probeTimeout: Duration = .milliseconds(500)
    /// How many members are asked to probe indirectly.
    package var indirectProbes = 3
    package var gossipInterval: Duration = .milliseconds(200)
    /// How many members hear a piece of gossip at a time.
    package var gossipFanout = 3
    /// λ: an update is sent λ·⌈log10(n + 1)⌉ times.
    package var retransmitMultiplier = 4
    /// α: the shortest suspicion is α·log10(n) periods, at least α periods.
    package var suspicionMultiplier = 4.0
    /// β: the longest suspicion is β times the shortest.
    package var suspicionMaximumMultiplier = 6.0
    /// K: how many accusers make a suspicion shortest.
    package var suspicionConfirmations = 3
    /// How often two members compare everything they know.
    package var syncInterval: Duration = .seconds(30)
    /// When a member does so for the first time.
    package var firstSyncDelay: Duration = .seconds(5)
    /// How often a dead member is told that it is dead, so that sides that were apart meet again.
    package var reconnectInterval: Duration = .seconds(10)
    /// How long a dead or left member is remembered, so that old gossip cannot revive it.
    package var tombstoneTimeout: Duration = .seconds(600)
    /// How often seeds are asked while they are not members.
    package var seedInterval: Duration = .seconds(3)
    /// The highest local health multiplier (Lifeguard §3.1).
    package var localHealthLimit = 8
    /// How large a datagram may grow.
    package var datagramByteLimit = 1400
    /// How many members are kept; more are refused.
    package var memberLimit = 1024

    package init() {}
}
