package import Primitives

/// What all members know of the weights on their way to the workers; the master's relay counts.
package struct TransferReport: Equatable, Sendable {
    /// llama.cpp takes no more devices.
    package static let transferLimit = 16

    package var ballot: Ballot
    /// Counts up within the ballot together with the numbers of launch reports; the highest holds.
    package var number: UInt32
    package private(set) var transfers: [WorkerTransfer]

    package init(ballot: Ballot, number: UInt32, transfers: [WorkerTransfer]) {
        self.ballot = ballot
        self.number = number
        self.transfers = Array(transfers.prefix(Self.transferLimit))
    }
}

/// The weights on their way to one worker.
package struct WorkerTransfer: Equatable, Sendable {
    package var node: NodeID
    /// What llama-server has handed over for the worker.
    package var loaded: ByteCount
    /// What of it went over the network: a worker is not sent what it keeps.
    package var sent: ByteCount
    /// How much of it was handed over in a second, lately.
    package var perSecond: ByteCount

    package init(node: NodeID, loaded: ByteCount, sent: ByteCount, perSecond: ByteCount = .zero) {
        self.node = node
        self.loaded = loaded
        self.sent = sent
        self.perSecond = perSecond
    }
}

/// How fast weights went to workers lately.
struct TransferMeter: Equatable, Sendable {
    /// Long enough for a large tensor on a slow link to end within it.
    static let period: Duration = .seconds(5)
    /// Counts come every announcement.
    static let sampleLimit = 12

    private struct Sample: Equatable, Sendable {
        let at: Instant
        let loaded: [NodeID: ByteCount]
    }

    private var samples: [Sample] = []

    /// Takes what was counted, and fills in the speeds.
    mutating func measure(_ transfers: inout [WorkerTransfer], at now: Instant) {
        let loaded = Dictionary(transfers.map { ($0.node, $0.loaded) }) { first, _ in first }
        samples.append(Sample(at: now, loaded: loaded))
        // The last one from before the period is where the period begins.
        while samples.count > 2, now - samples[1].at >= Self.period { samples.removeFirst() }
        if samples.count > Self.sampleLimit { samples.removeFirst() }
        guard let first = samples.first, now > first.at else { return }
        let seconds = (now - first.at) / .seconds(1)
        for index in transfers.indices {
            let before = first.loaded[transfers[index].node] ?? .zero
            let moved =
                transfers[index].loaded.bytes &- min(before.bytes, transfers[index].loaded.bytes)
            transfers[index].perSecond = ByteCount(UInt64(Double(moved) / seconds))
        }
    }
}
