/// A program to start: an absolute path, its arguments, and what differs from our surroundings.
///
/// Its standard input is empty.
package struct ChildCommand: Sendable, Equatable {
    package var executable: String
    package var arguments: [String]
    /// Changes to the inherited environment; nil removes a variable.
    package var environment: [String: String?]
    package var workingDirectory: String?

    package init(
        executable: String,
        arguments: [String] = [],
        environment: [String: String?] = [:],
        workingDirectory: String? = nil
    ) {
        self.executable = executable
        self.arguments = arguments
        self.environment = environment
        self.workingDirectory = workingDirectory
    }
}

/// How a child ended.
package enum ChildExit: Sendable, Hashable {
    case exited(code: Int32)
    case signalled(Int32)
    /// It never ran; the text says why.
    case couldNotStart(String)

    package var isSuccess: Bool { self == .exited(code: 0) }
}

extension ChildExit: CustomStringConvertible {
    package var description: String {
        switch self {
        case .exited(let code): "exited with code \(code)"
        case .signalled(let number): "ended by signal \(number)"
        case .couldNotStart(let reason): "could not start: \(reason)"
        }
    }
}

package enum ChildStream: Sendable, Hashable {
    case standardOutput, standardError
}

/// What a child does, in the order in which it did it.
package enum ChildEvent: Sendable, Hashable {
    case started(pid: Int32)
    case line(String, ChildStream)
    /// The last event, and the only one when the child never ran.
    case exited(ChildExit)
}

package enum ChildSignal: Sendable {
    case terminate, kill, suspend, resume
}
