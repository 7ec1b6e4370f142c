import CPosix
package import Logging
package import Primitives
import Synchronization

/// What an agent logs, and where to.
package struct LogConfiguration: Sendable {
    package enum Terminal: Sendable {
        case off
        /// With colours if it is a terminal and `NO_COLOR` is not set.
        case standardError
        case descriptor(Int32, TerminalFormat)
    }

    /// The name of this agent in every JSON line and journal entry.
    package var agentName: String
    package var level: LogLevel = .info
    /// The level of loggers that others make: libraries tell much that only their authors need.
    package var libraryLevel: LogLevel = .notice
    package var terminal: Terminal = .standardError
    package var file: LogFileConfiguration?
    package var usesJournald = false
    var queueLimits = QueueLimits()
    /// How long a critical record may hold up the thread that logs it, which may be an event
    /// loop: the next thing that it does may be to die.
    var criticalFlushLimit: Duration = .milliseconds(250)

    package init(agentName: String) {
        self.agentName = agentName
    }
}

extension LogConfiguration.Terminal {
    private static let standardErrorDescriptor: Int32 = 2

    var sink: TerminalSink? {
        switch self {
        case .off: nil
        case .standardError:
            TerminalSink(
                descriptor: Self.standardErrorDescriptor,
                format: TerminalFormat(
                    colours: telemetry_wants_colours(Self.standardErrorDescriptor)
                )
            )
        case .descriptor(let descriptor, let format):
            TerminalSink(descriptor: descriptor, format: format)
        }
    }
}

/// The logs of one agent: its own logger, and what is needed to end well.
package struct LogPipeline: Sendable {
    package let configuration: LogConfiguration
    /// The agent's own logger, at the configured level.
    package let logger: Logger
    private let sinks: LogSinks

    /// Starts the sinks, without touching swift-log's global state; throws if the system has no
    /// thread left.
    package init(_ configuration: LogConfiguration) throws {
        self.configuration = configuration
        let sinks = try LogSinks(configuration)
        self.sinks = sinks
        logger = Logger(label: "caravan") { label in
            RecordLogHandler(label: label, logLevel: .init(configuration.level), sinks: sinks)
        }
    }

    package func emit(_ record: LogRecord) {
        logger.log(record: record)
    }

    /// A logger to hand to a library.
    package func libraryLogger(label: String) -> Logger {
        Logger(label: label) { handler(label: $0) }
    }

    /// The handler behind `libraryLogger`, for a library's own bootstrap.
    package func handler(label: String) -> RecordLogHandler {
        RecordLogHandler(
            label: label,
            logLevel: .init(configuration.libraryLevel),
            sinks: sinks
        )
    }

    package var counters: LogCounters { sinks.counters }

    /// Waits until everything logged so far is written; false if a sink took longer.
    @discardableResult
    package func flush(within timeout: Duration = .seconds(2)) -> Bool {
        sinks.flush(within: timeout)
    }

    /// Writes what is left and ends the threads; what is logged later is dropped and counted.
    @discardableResult
    package func close(within timeout: Duration = .seconds(2)) -> Bool {
        defer { sinks.stop() }
        return sinks.flush(within: timeout)
    }
}

package enum LogSetup {
    private static let isBootstrapped = Mutex(false)

    /// Starts the sinks and makes every swift-log logger of the process write to them.
    ///
    /// Once per process, from its main function; tests make a `LogPipeline` of their own.
    package static func bootstrap(_ configuration: LogConfiguration) throws -> LogPipeline {
        let pipeline = try LogPipeline(configuration)
        let isFirst = isBootstrapped.withLock { isBootstrapped in
            defer { isBootstrapped = true }
            return !isBootstrapped
        }
        precondition(isFirst, "the logging system can only be bootstrapped once per process")
        LoggingSystem.bootstrap { label in pipeline.handler(label: label) }
        return pipeline
    }
}
