internal import Synchronization

/// Runs a program to its end, and hands over its lines while it runs.
///
/// When the caller is cancelled, the program is killed with all that it started, and the call
/// returns once it is gone.
package func runForLines(
    _ command: ChildCommand,
    guardedBy guardBinary: ProcessGuard.Binary = .ownExecutable,
    onLine: @escaping @Sendable (String, ChildStream) -> Void
) async -> ChildExit {
    let running = Mutex<ChildProcess?>(nil)
    return await withTaskCancellationHandler {
        await withCheckedContinuation { continuation in
            let child = ChildProcess.start(command, guardedBy: guardBinary) { event in
                switch event {
                case .started: break
                case .line(let text, let stream): onLine(text, stream)
                case .exited(let exit): continuation.resume(returning: exit)
                }
            }
            running.withLock { $0 = child }
            if Task.isCancelled { child.signal(.kill) }
        }
    } onCancel: {
        running.withLock { $0 }?.signal(.kill)
    }
}
