/// A present member that a device cannot reach in every way.
///
/// Only what fails is told, so that a healthy network costs a byte.
package struct ReachGap: Hashable, Sendable {
    /// How many are told of; with more, something is wrong that no list explains.
    package static let limit = 24

    package struct Failures: OptionSet, Hashable, Sendable {
        package let rawValue: UInt8

        package init(rawValue: UInt8) {
            self.rawValue = rawValue
        }

        /// It does not answer datagrams.
        package static let datagrams = Failures(rawValue: 1 << 0)
        /// No stream to it can be opened.
        package static let streams = Failures(rawValue: 1 << 1)
        /// No stream from it has come for long; as it has none to open for long, this alone is
        /// no fault.
        package static let neverDialled = Failures(rawValue: 1 << 2)
    }

    /// Which member: the first 32 bits of its id.
    package var tag: UInt32
    package var failures: Failures

    package init(tag: UInt32, failures: Failures) {
        self.tag = tag
        self.failures = failures
    }
}

extension NodeID {
    /// Enough to tell the members of one cluster apart.
    package var tag: UInt32 {
        UInt32(truncatingIfNeeded: high >> 32)
    }
}
