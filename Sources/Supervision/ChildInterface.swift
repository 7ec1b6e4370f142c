import Primitives

/// How a child process is kept; the words are Erlang's.
package struct ChildSpec: Equatable, Sendable {
    /// For logs: `rpc-server`, `llama-server`.
    package var name: String
    package var restart: RestartStrategy
    /// How many restarts within `intensityPeriod` are made before the child is given up.
    package var intensity = 5
    package var intensityPeriod: Duration = .seconds(60)
    /// The wait before the first restart; it doubles with each one that follows at once.
    package var backoff: Duration = .milliseconds(250)
    package var backoffLimit: Duration = .seconds(15)
    /// How long a child may take to become ready; nil for as long as it lives.
    package var readinessTimeout: Duration?
    package var readinessInterval: Duration = .milliseconds(100)
    /// How long each step of a stop may take: a first SIGTERM, a second one, then SIGKILL.
    package var stopGrace: Duration = .seconds(2)

    package init(name: String, restart: RestartStrategy, readinessTimeout: Duration? = nil) {
        self.name = name
        self.restart = restart
        self.readinessTimeout = readinessTimeout
    }
}

package enum RestartStrategy: Sendable, Equatable {
    /// Started again whenever it ends.
    case permanent
    /// Its end is only told.
    case temporary
}

package enum ChildInput: Equatable, Sendable {
    case start
    case stop
    case started(pid: Int32)
    /// A probe of the child's own protocol succeeded.
    case ready
    case exited(ChildEnd)
    case timer(ChildTimer)
}

/// How a process ended.
package enum ChildEnd: Equatable, Sendable {
    case exited(code: Int32)
    case signalled(Int32)
    case couldNotStart(reason: String)

    /// For people: `exit code 1`, `signal 9 (SIGKILL)`.
    package var text: String {
        switch self {
        case .exited(let code): return "exit code \(code)"
        case .signalled(let number):
            let name =
                [6: "SIGABRT", 9: "SIGKILL", 11: "SIGSEGV", 13: "SIGPIPE", 15: "SIGTERM"][number]
            return name.map { "signal \(number) (\($0))" } ?? "signal \(number)"
        case .couldNotStart(let reason): return "could not be started: \(reason)"
        }
    }
}

package enum ChildTimer: Hashable, Sendable {
    case backoff
    case probe
    case readiness
    case stopStep
}

extension ChildTimer: TimerName {
    package static var slotCount: Int { 4 }

    package var slot: Int? {
        switch self {
        case .backoff: 0
        case .probe: 1
        case .readiness: 2
        case .stopStep: 3
        }
    }
}

package enum ChildEffect: Equatable, Sendable {
    case spawn
    case terminate
    case kill
    /// Ask the child in its own protocol whether it is ready; `.ready` answers.
    case probe
    case setTimer(ChildTimer, after: Duration)
    case cancelTimer(ChildTimer)
    case emit(ChildEvent)
}

package enum ChildEvent: Equatable, Sendable {
    case started(pid: Int32)
    case ready
    case restarting(after: ChildEnd, delay: Duration)
    /// A `temporary` child ended by itself.
    case ended(ChildEnd)
    /// It ended too often, or never became ready: nothing more is tried.
    case gaveUp(reason: String)
    /// It was stopped as asked.
    case stopped
}
