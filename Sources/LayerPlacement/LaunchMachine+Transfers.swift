import Primitives

// Telling how far the weights are on their way to each worker.
extension LaunchMachine {
    /// The relay has counted; sorted by node.
    mutating func transferred(
        _ counted: [WorkerTransfer],
        at now: Instant,
        _ effects: inout [LaunchEffect]
    ) {
        guard let ballot, let attempt, attempt.isServerRunning else { return }
        var transfers = counted.filter { transfer in
            attempt.workers.contains { $0.node == transfer.node }
        }
        // Before weights come there is nothing to tell.
        guard transfers.contains(where: { $0.loaded > .zero }) else { return }
        self.attempt?.meter.measure(&transfers, at: now)
        let before = self.transfers?.transfers ?? []
        guard transfers != before else { return }
        // llama-server tells nothing while a large tensor is on its way to a slow worker.
        if Self.grew(from: before, to: transfers) { livens(&effects) }
        nextReport += 1
        let report = TransferReport(ballot: ballot, number: nextReport, transfers: transfers)
        self.transfers = report
        effects += [.broadcast(.transfers(report)), .emit(.transfersChanged)]
    }

    private static func grew(from before: [WorkerTransfer], to now: [WorkerTransfer]) -> Bool {
        now.contains { transfer in
            transfer.loaded > before.first { $0.node == transfer.node }?.loaded ?? .zero
        }
    }

    mutating func heardTransfers(_ heard: TransferReport, _ effects: inout [LaunchEffect]) {
        guard ballot == nil, let report, report.ballot == heard.ballot,
            report.phase >= .handshake
        else { return }
        if let known = transfers, known.ballot == heard.ballot, known.number >= heard.number {
            return
        }
        transfers = heard
        effects.append(.emit(.transfersChanged))
    }

    /// What was told of an earlier llama-server says nothing of the next one.
    mutating func forgetTransfers(before phase: LaunchPhase) {
        if phase < .handshake { transfers = nil }
    }
}
