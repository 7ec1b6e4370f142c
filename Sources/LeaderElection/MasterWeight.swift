/// Which of two masters gives way when sides that were apart meet: the one with less to lose.
///
/// Without it the higher term would win, and a device that was alone for an hour (and elected
/// itself again and again) would take the cluster over and end its running model.
package struct MasterWeight: Comparable, Hashable, Sendable {
    /// Whether a model is loaded or being loaded.
    package var isServing: Bool
    /// How many members obey it, itself included.
    package var followerCount: UInt16

    package init(isServing: Bool, followerCount: UInt16) {
        self.isServing = isServing
        self.followerCount = followerCount
    }

    package static func < (left: Self, right: Self) -> Bool {
        (left.isServing ? 1 : 0, left.followerCount)
            < (right.isServing ? 1 : 0, right.followerCount)
    }
}
