import FoundationEssentials
import Gateway
import Synchronization

/// The tokens of a file as they are now: one that was removed counts no longer, at once.
final class TokenStore: TokenVerifier {
    private let file: TokenFile
    private let known = Mutex(Known())

    private struct Known {
        var stamp: Stamp?
        var tokens: [(hash: [UInt8], kind: TokenKind)] = []
    }

    /// What changes whenever the file is replaced.
    private struct Stamp: Equatable {
        var number: UInt64
        var changed: Date
        var byteCount: UInt64
    }

    init(_ file: TokenFile) {
        self.file = file
    }

    func kind(of token: String) -> TokenKind? {
        let hash = TokenFile.hash(token)
        return known.withLock { known in
            reload(&known)
            var found: TokenKind?
            // All are compared, each to its end, so that time tells nothing of how near a guess
            // came.
            for token in known.tokens {
                let difference = zip(token.hash, hash).reduce(0 as UInt8) { $0 | ($1.0 ^ $1.1) }
                if difference == 0 { found = token.kind }
            }
            return found
        }
    }

    private func reload(_ known: inout Known) {
        let stamp = self.stamp()
        guard stamp != known.stamp else { return }
        known.stamp = stamp
        // A file that cannot be read lets nobody in.
        let entries = (try? file.load()) ?? []
        known.tokens = entries.compactMap { entry in
            TokenFile.bytes(ofHash: entry.hash).map { ($0, entry.kind) }
        }
    }

    private func stamp() -> Stamp? {
        guard let facts = try? FileManager.default.attributesOfItem(atPath: file.path),
            let changed = facts[.modificationDate] as? Date
        else { return nil }
        return Stamp(
            number: (facts[.systemFileNumber] as? UInt64) ?? 0,
            changed: changed,
            byteCount: (facts[.size] as? UInt64) ?? 0
        )
    }
}
