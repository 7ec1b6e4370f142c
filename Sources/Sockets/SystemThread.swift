internal import CPosix

/// Threads of our own, for what must not run in Swift's pool because it waits in the system.
enum SystemThread {
    /// Runs the body on a new thread that takes no signals; the name is cut to 15 bytes.
    static func start(
        name: String,
        _ body: @escaping @Sendable () -> Void
    ) throws(SocketError) {
        let context = unsafe Unmanaged.passRetained(ThreadBody(body))
        let status = unsafe cposix_thread_start(runThread, context.toOpaque(), name)
        if status < 0 {
            unsafe context.release()
            throw .failed(call: "start thread \(name)", errno: -status)
        }
    }
}

private final class ThreadBody: Sendable {
    let run: @Sendable () -> Void

    init(_ run: @escaping @Sendable () -> Void) {
        self.run = run
    }
}

// A global function: a closure here would inherit the isolation of the code around it and trap.
private func runThread(_ context: UnsafeMutableRawPointer?) {
    guard let context = unsafe context else { return }
    let body = unsafe Unmanaged<ThreadBody>.fromOpaque(context).takeRetainedValue()
    body.run()
}
