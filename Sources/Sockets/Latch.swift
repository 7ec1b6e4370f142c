internal import CPosix

/// A door that opens once, for a thread that must wait for another one.
///
/// Never waited for on a loop.
@safe final class Latch: @unchecked Sendable {
    // Safe to share: the C side guards its state with a mutex, and the pointer never changes.
    private let latch: OpaquePointer

    init() {
        unsafe latch = cposix_latch_create()
    }

    deinit {
        unsafe cposix_latch_destroy(latch)
    }

    func open() {
        unsafe cposix_latch_open(latch)
    }

    func wait() {
        unsafe cposix_latch_wait(latch)
    }
}
