import CPosix

/// An event that one thread waits for; a raise that comes first is kept.
@safe final class WakeSignal: @unchecked Sendable {
    private let event: OpaquePointer

    init() {
        unsafe event = telemetry_event_create()
    }

    deinit {
        unsafe telemetry_event_destroy(event)
    }

    func raise() {
        unsafe telemetry_event_raise(event)
    }

    func wait() {
        _ = unsafe telemetry_event_wait(event, -1)
    }

    /// False if nothing raised it in time.
    func wait(atMost timeout: Duration) -> Bool {
        let components = timeout.components
        let milliseconds =
            components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
        return unsafe telemetry_event_wait(event, max(0, milliseconds))
    }
}

/// A thread of our own: what may block on a disk or a terminal must not hold a thread of Swift's
/// pool, and must not wait for one either.
enum WorkerThread {
    /// The operating system refused a thread.
    struct StartFailure: Error {
        let errorNumber: Int32
    }

    private final class Body {
        let run: @Sendable () -> Void

        init(_ run: @escaping @Sendable () -> Void) {
            self.run = run
        }
    }

    static func start(_ run: @escaping @Sendable () -> Void) throws(StartFailure) {
        let body = unsafe Unmanaged.passRetained(Body(run))
        let result = unsafe telemetry_start_thread(
            { context in
                guard let context = unsafe context else { return }
                unsafe Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run()
            },
            body.toOpaque()
        )
        if result != 0 {
            unsafe body.release()
            throw StartFailure(errorNumber: -result)
        }
    }
}
