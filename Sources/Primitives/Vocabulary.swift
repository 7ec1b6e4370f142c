/// Which kinds of messages an agent understands beyond those that every agent does.
///
/// Devices are updated one after the other, and kinds that a receiver does not know are passed
/// over: an agent says which it knows, and is spoken to in these. Whoever has a vocabulary has all
/// lower ones, too.
package struct Vocabulary: Hashable, Comparable, Sendable {
    package let rawValue: UInt8

    package init(_ rawValue: UInt8) {
        self.rawValue = rawValue
    }

    /// That of agents which do not tell.
    package static let first = Vocabulary(0)
    /// `beat`, `beatObeyed` and `digest`.
    package static let beats = Vocabulary(1)

    /// That of agents of this version.
    package static let current = beats

    package static func < (left: Self, right: Self) -> Bool {
        left.rawValue < right.rawValue
    }
}
