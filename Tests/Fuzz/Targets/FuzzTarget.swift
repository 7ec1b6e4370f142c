/// A reader of bytes from outside, to be fed with any bytes at all.
///
/// It must return: refuse the bytes or take them, whatever they are, without a crash, without
/// going on for ever, and without memory that grows with numbers inside of them.
package struct FuzzTarget: Sendable {
    /// The folder of its corpus, and what people call it.
    package let name: String
    /// What it reads, in a few words.
    package let about: String
    /// Reads the bytes; throws `FuzzFinding` when something that it promises does not hold.
    package let read: @Sendable ([UInt8]) throws -> Void

    init(
        _ name: String,
        _ about: String,
        _ read: @escaping @Sendable ([UInt8]) throws -> Void
    ) {
        self.name = name
        self.about = about
        self.read = read
    }

    /// Every reader of bytes from outside; a new one goes into the file of its kind.
    package static let all: [FuzzTarget] = wire + secure + llama + files + text

    package static func named(_ name: String) -> FuzzTarget? { all.first { $0.name == name } }
}

/// A promise that a reader broke.
package struct FuzzFinding: Error, CustomStringConvertible {
    package let description: String
}

/// What holds whatever the bytes are.
func expect(_ condition: Bool, _ promise: @autoclosure () -> String) throws {
    if !condition { throw FuzzFinding(description: promise()) }
}

extension [UInt8] {
    /// The rest in pieces of the length that the first byte says: what arrives by a stream is cut
    /// anywhere.
    var pieces: [[UInt8]] {
        guard let first else { return [] }
        let length = Swift.max(1, Int(first))
        return stride(from: 1, to: count, by: length).map {
            Array(self[$0..<Swift.min($0 + length, count)])
        }
    }

    /// Pieces behind their lengths, of a byte each.
    var measuredPieces: [[UInt8]] {
        var pieces: [[UInt8]] = []
        var rest = self[...]
        while let length = rest.popFirst() {
            pieces.append(Array(rest.prefix(Int(length))))
            rest = rest.dropFirst(Int(length))
        }
        return pieces
    }

    /// The parts between zero bytes, so that one input can hold several texts.
    var texts: [String] {
        split(separator: 0, omittingEmptySubsequences: false).map {
            String(decoding: $0, as: UTF8.self)
        }
    }

    /// Invalid UTF-8 repaired, as everywhere.
    var text: String { String(decoding: self, as: UTF8.self) }
}
