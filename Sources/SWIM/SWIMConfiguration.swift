/// How the failure detector is tuned; the defaults are memberlist's for a local network, where the
/// pages under Protocols/ do not say otherwise.
package struct SWIMConfiguration: Sendable, Equatable {
    /// How often a member is probed.
    package var period: Duration = .seconds(1)
    /// How many times as long the period and the interval of syncs are while streams and
    /// heartbeats watch over everybody.
    package var quietFactor = 10
    /// How long a direct probe of a member with unknown round trips may take before others are
    /// asked, and how long these may take.
    package var probeTimeout: Duration = .milliseconds(500)
    /// How short a direct probe may become: a device that saves power on Wi-Fi sleeps for some
    /// beacons, a tenth of a second each.
    package var probeTimeoutFloor: Duration = .milliseconds(300)
    /// How long a direct probe of a member far away may take.
    package var probeTimeoutLimit: Duration = .seconds(1)
    /// How many members are asked to probe indirectly.
    package var indirectProbes = 3
    package var gossipInterval: Duration = .milliseconds(200)
    /// How soon the first members hear of news.
    package var firstGossipDelay: Duration = .milliseconds(20)
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
    /// How long a member is suspect whose system says that nobody listens there any more.
    package var goneSuspicion: Duration = .milliseconds(300)
    /// How long a member is suspect whose whole host has fallen silent, for others too.
    package var vanishedSuspicion: Duration = .seconds(1)
    /// How long a member is suspect while this agent hears nobody at all.
    package var cutOffSuspicion: Duration = .seconds(2)
    /// How often two members compare everything they know.
    package var syncInterval: Duration = .seconds(30)
    /// Up to how many members they do so that often; with each doubling above, an interval more
    /// lies between, as in memberlist.
    package var crowdLimit = 32
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
    /// How late a timer may come before this agent knows that it stood still.
    package var lagLimit: Duration = .milliseconds(500)
    /// Up to how many members every two keep a stream between them, and every member is told of a
    /// death at once.
    package var allPairsLimit = 16
    /// How many members of a larger cluster a member watches, and is watched by.
    package var watchCount = 4
    /// How large a datagram may grow.
    package var datagramByteLimit = 1400
    /// How many members are kept; more are refused.
    package var memberLimit = 1024
    package var parts = DetectorParts.deployed

    package init() {}
}

/// Which parts of the failure detector are in use.
///
/// As deployed, all. Experiments leave some out to see what each is worth.
package struct DetectorParts: Sendable, Equatable {
    /// Local health stretches the period and the timeouts of probes (Lifeguard §3.1, LHA-Probe).
    package var stretchesProbes = false
    /// A suspicion begins long and shrinks with each accuser (Lifeguard §3.2, LHA-Suspicion).
    package var shrinksSuspicions = false
    /// A probe first tells its target what is held against it (Lifeguard §3.3, Buddy System).
    package var tellsSuspects = false
    /// A failed probe charges local health only if a relay was silent too.
    ///
    /// As published it always does when nobody was asked, and with two members each real death
    /// makes the survivor slower.
    package var chargesOnlyOnEvidence = false
    /// The timeout of a probe follows the round trips to its target.
    package var followsRoundTrips = false
    /// Streams that end, refusals and silence start a probe at once, and what the probe finds
    /// decides how long the suspicion lasts.
    package var usesEvidence = false
    /// Whoever hears of a suspicion looks for itself.
    package var verifiesAccusations = false
    /// Timers that come late, and sleep, are held against oneself.
    package var noticesOwnStalls = false
    /// When most members vanish at once, the fault is looked for at home first.
    package var doubtsMassDeath = false

    /// SWIM alone: suspicions of a fixed length.
    package static let swim = DetectorParts()

    /// All of Lifeguard, as published.
    package static var lifeguard: DetectorParts {
        var parts = DetectorParts()
        parts.stretchesProbes = true
        parts.shrinksSuspicions = true
        parts.tellsSuspects = true
        return parts
    }

    package static var deployed: DetectorParts {
        var parts = lifeguard
        parts.chargesOnlyOnEvidence = true
        parts.followsRoundTrips = true
        parts.usesEvidence = true
        parts.verifiesAccusations = true
        parts.noticesOwnStalls = true
        parts.doubtsMassDeath = true
        return parts
    }
}
