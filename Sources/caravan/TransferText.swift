import Gateway
import Primitives

/// How far the weights of workers are, as text.
enum TransferText {
    /// As `58 % of 5.3 MiB, 2.1 MiB/s, 2 s left`.
    static func progress(_ transfer: ClusterStatus.Transfer) -> String {
        let loaded = ByteCount(transfer.loaded)
        var parts: [String] = []
        if let total = transfer.total, total > 0 {
            parts.append("\(transfer.loaded * 100 / total) % of \(ByteCount(total))")
        } else {
            parts.append("\(loaded)")
        }
        if transfer.perSecond > 0 { parts.append("\(ByteCount(transfer.perSecond))/s") }
        if let left = secondsLeft(transfer) { parts.append("\(left) s left") }
        return parts.joined(separator: ", ")
    }

    /// Nil while nothing moves, or when all is there.
    static func secondsLeft(_ transfer: ClusterStatus.Transfer) -> UInt64? {
        guard let total = transfer.total, total > transfer.loaded, transfer.perSecond > 0 else {
            return nil
        }
        return (total - transfer.loaded + transfer.perSecond - 1) / transfer.perSecond
    }

    /// What stands beside a worker's layers: how far they are, and what they cost the network.
    static func remark(_ transfer: ClusterStatus.Transfer, isLoading: Bool) -> String {
        let sent = "\(ByteCount(transfer.sent)) sent"
        return isLoading ? "\(progress(transfer)); \(sent)" : sent
    }

    /// All workers in one line.
    static func line(_ model: ClusterStatus.Model) -> String {
        (model.transfers ?? []).map { "\($0.name) \(progress($0))" }.joined(separator: " | ")
    }
}
