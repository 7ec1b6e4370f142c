import Dispatch
import FoundationEssentials
import Primitives
package import SecureChannel
import Synchronization

/// Which hellos an agent took and said, kept between its lives.
///
/// Written on a thread of its own: a slow disk never stops the loop. What changes while it writes
/// is written once, afterwards.
package final class HelloFile: Sendable {
    /// Datagrams and streams count for themselves.
    enum Use: String {
        case datagrams
        case streams
    }

    private struct Contents: Codable {
        struct Heard: Codable {
            var node: String
            var number: UInt64
        }

        var format: Int
        var next: UInt64
        var heard: [Heard]
    }

    private struct Waiting {
        var kept: HelloLedger.Kept?
        var isWriting = false
    }

    let path: String
    private let failed: @Sendable (String) -> Void
    private let queue = DispatchQueue(label: "caravan.hellos")
    private let waiting = Mutex(Waiting())

    /// - Parameter failed: told why the file cannot be read or written.
    init(stateFolder: String, _ use: Use, failed: @escaping @Sendable (String) -> Void) {
        path = "\(stateFolder)/hellos.\(use.rawValue)"
        self.failed = failed
    }

    /// What was kept; nothing if there is no file, or one that is damaged.
    func load() -> HelloLedger.Kept {
        guard let data = FileManager.default.contents(atPath: path) else {
            return HelloLedger.Kept()
        }
        do {
            return try Self.kept(in: [UInt8](data))
        } catch {
            failed(
                "\(path) is damaged and begins anew; until others have said hello again, what was "
                    + "recorded of them may be answered once: \(error)"
            )
            return HelloLedger.Kept()
        }
    }

    /// What a file holds.
    package static func kept(in bytes: [UInt8]) throws -> HelloLedger.Kept {
        let contents = try JSONDecoder().decode(Contents.self, from: Data(bytes))
        guard contents.format == 1 else {
            throw AgentProblem("its format is \(contents.format), expected 1")
        }
        return HelloLedger.Kept(
            next: contents.next,
            heard: try contents.heard.map { entry throws(AgentProblem) in
                guard let node = NodeID(entry.node) else {
                    throw AgentProblem("\(entry.node) is no node")
                }
                return (node, entry.number)
            }
        )
    }

    private static func bytes(of kept: HelloLedger.Kept) throws -> [UInt8] {
        let contents = Contents(
            format: 1,
            next: kept.next,
            heard: kept.heard.map {
                Contents.Heard(node: $0.sender.description, number: $0.number)
            }
        )
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        return [UInt8](try encoder.encode(contents))
    }

    /// Writes down what has changed.
    func keep(_ ledger: inout HelloLedger) {
        guard ledger.isChanged else { return }
        let kept = ledger.keep()
        let begins = waiting.withLock { waiting in
            waiting.kept = kept
            defer { waiting.isWriting = true }
            return !waiting.isWriting
        }
        if begins { queue.async { [self] in writeAll() } }
    }

    private func writeAll() {
        while let kept = next() {
            do {
                try SecretFile.write(try Self.bytes(of: kept), to: path)
            } catch {
                failed("\(path) cannot be written: \(error)")
            }
        }
    }

    private func next() -> HelloLedger.Kept? {
        waiting.withLock { waiting in
            defer { waiting.kept = nil }
            if waiting.kept == nil { waiting.isWriting = false }
            return waiting.kept
        }
    }
}
