internal import CPosix
internal import Subprocess
internal import SystemPackage

/// One child from its start to its end, as swift-subprocess runs it.
struct ChildRun: Sendable {
    let command: ChildCommand
    let guardBinary: ProcessGuard.Binary
    /// Called once, before any bytes.
    let onStart: @Sendable (Int32) -> Void
    /// Called for each read, from two tasks at once: one a stream.
    let onBytes: @Sendable (Span<UInt8>, ChildStream) -> Void
    /// Called when the child has ended and its process id is about to be given up.
    let onEnd: @Sendable () -> Void

    /// Runs the child, drains all that it writes, and returns how it ended.
    ///
    /// What is left of the child's process group is killed when the child ends.
    func run() async -> ChildExit {
        guard unsafe caravan_is_executable(command.executable) else {
            return .couldNotStart("\(command.executable) is not an executable file")
        }
        do {
            let result = try await Subprocess.run(
                configuration,
                input: .none,
                output: .sequence,
                error: .sequence,
                body: { try await follow($0) }
            )
            return switch result.terminationStatus {
            case .exited(let code): .exited(code: code)
            case .signaled(let number): .signalled(number)
            }
        } catch {
            return .couldNotStart("\(error)")
        }
    }

    private var configuration: Configuration {
        var options = PlatformOptions()
        // A group of its own: Ctrl-C in a terminal reaches the agent only, which then stops its
        // children in order; and all of a child's own children can be reached by one signal.
        options.processGroupID = 0
        var executable = command.executable
        var arguments = command.arguments
        if let guardPath = guardBinary.path {
            arguments =
                [ProcessGuard.subcommand, String(caravan_own_process_id()), "--", executable]
                + arguments
            executable = guardPath
        }
        let changes = command.environment.map { (Environment.Key(rawValue: $0.key), $0.value) }
        return Configuration(
            executable: .path(FilePath(executable)),
            arguments: Arguments(arguments),
            environment: .inherit.updating(
                Dictionary(
                    uniqueKeysWithValues: changes.compactMap { key, value in
                        key.map { ($0, value) }
                    }
                )
            ),
            workingDirectory: command.workingDirectory.map { FilePath($0) },
            platformOptions: options
        )
    }

    private func follow(
        _ execution: Execution<NoInput, SequenceOutput, SequenceOutput>
    ) async throws {
        let pid = execution.processIdentifier.value
        onStart(pid)
        await withTaskGroup { group in
            group.addTask { await drain(execution.standardOutput, .standardOutput) }
            group.addTask { await drain(execution.standardError, .standardError) }
        }
        if Task.isCancelled { _ = caravan_signal_group(pid, Signal.kill.rawValue) }
        // A child may close its outputs and live on. Its id must stay valid for `signal` until it
        // has really ended, so the end is awaited here, before swift-subprocess reaps it. In a task
        // of its own, because a cancelled one cannot sleep.
        await Task.detached { await Self.waitUntilEnded(pid) }.value
        _ = caravan_signal_group(pid, Signal.kill.rawValue)
        onEnd()
    }

    private static func waitUntilEnded(_ pid: Int32) async {
        var pause = Duration.milliseconds(1)
        while !caravan_child_has_ended(pid) {
            try? await Task.sleep(for: pause)
            pause = min(pause * 2, .milliseconds(100))
        }
    }

    private func drain(_ output: SubprocessOutputSequence, _ stream: ChildStream) async {
        do {
            for try await buffer in output {
                let bytes = unsafe buffer.withUnsafeBytes { unsafe ContiguousArray($0) }
                onBytes(bytes.span, stream)
            }
        } catch {
            // A read that fails is the end of that stream; the exit is reported all the same.
        }
    }
}
