internal import CPosix

/// Tells when an interface or an address of this machine changes, as far as the system does.
///
/// Linux does (netlink); Android keeps it from programs, and other systems have other ways: there
/// nobody is told, and whoever needs to know looks now and then.
package final class InterfaceWatch: Sendable {
    private let descriptor: Int32
    private let loop: PollLoop
    private let token: WatchToken

    /// Watches until `close()`; called on the loop, as the action is.
    ///
    /// Nil where the system does not tell.
    package init?(on loop: PollLoop, onChange: @escaping @Sendable () -> Void) {
        let descriptor = cposix_interface_watch()
        guard descriptor >= 0 else { return nil }
        let handler = InterfaceHandler(descriptor: descriptor, onChange: onChange)
        guard let token = try? loop.watch(descriptor, for: .readable, handler) else {
            cposix_close(descriptor)
            return nil
        }
        self.descriptor = descriptor
        self.loop = loop
        self.token = token
    }

    /// Called once, on the loop.
    package func close() {
        loop.unwatch(token)
        cposix_close(descriptor)
    }
}

private final class InterfaceHandler: PollHandler {
    private let descriptor: Int32
    private let onChange: @Sendable () -> Void

    init(descriptor: Int32, onChange: @escaping @Sendable () -> Void) {
        self.descriptor = descriptor
        self.onChange = onChange
    }

    func ready(_ events: PollEvents) {
        _ = cposix_interface_watch_clear(descriptor)
        onChange()
    }
}
