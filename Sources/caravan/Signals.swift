import ArgumentParser
import Dispatch
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Android)
import Android
#elseif canImport(Darwin)
import Darwin
#endif

/// Ends work in order when somebody presses Ctrl-C or asks the process to terminate.
enum Signals {
    /// Runs the work until it ends, or cancels it at the first signal; a second one ends the
    /// process at once (children die with it).
    static func run(_ work: @escaping @Sendable () async throws -> Void) async throws {
        let task = Task { try await work() }
        let count = Mutex(0)
        let sources = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                let isFirst = count.withLock { count in
                    count += 1
                    return count == 1
                }
                if isFirst { task.cancel() } else { exit(128 + number) }
            }
            source.resume()
            return source
        }
        defer { for source in sources { source.cancel() } }
        do {
            try await task.value
        } catch let error as CancellationError {
            guard count.withLock({ $0 }) > 0 else { throw error }
            // Whoever pressed Ctrl-C knows why it ended.
            throw ExitCode(130)
        }
    }
}
