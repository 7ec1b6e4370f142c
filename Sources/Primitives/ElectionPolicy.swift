/// How a cluster elects: whether a side that is cut off goes on by itself.
package enum ElectionPolicy: UInt8, Hashable, Sendable, CaseIterable {
    /// Every side that is connected has a master of its own.
    case available = 1
    /// At most one master anywhere: a side without a majority of the voters has none.
    case quorum = 2

    /// As it is written in commands, scenarios and the HTTP API.
    package var name: String { "\(self)" }

    package init?(named name: String) {
        guard let policy = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = policy
    }
}
