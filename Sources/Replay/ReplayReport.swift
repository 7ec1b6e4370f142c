import Primitives
package import Simulator

/// What a replay showed.
package struct ReplayReport: Sendable {
    package var scenario: String
    package var nodeCount: Int
    package var violation: Violation?
    package var phases: [PhaseRecorder.Phase]
    /// How many masters there were, each ballot one.
    package var electionCount: Int
    /// The longest that a master went on without a majority within reach.
    package var longestWithoutMajority: Duration
    package var duration: Duration
    package var notes: [String]
}
