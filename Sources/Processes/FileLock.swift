internal import CPosix

/// A lock on a file: among all processes of the machine, one holds it.
///
/// It ends when it is let go, and with the process, however that ends; the file stays.
package final class FileLock: Sendable {
    private let file: Int32

    /// Takes the lock; nil when another process, or another part of this one, holds it.
    package init?(path: String) throws(FileLockError) {
        file = unsafe caravan_lock_file(path)
        guard file < 0 else { return }
        if caravan_last_error_is_would_block() != 0 { return nil }
        throw FileLockError(path: path, reason: unsafe String(cString: caravan_last_error()))
    }

    deinit {
        caravan_unlock_file(file)
    }
}

package struct FileLockError: Error, Hashable, Sendable, CustomStringConvertible {
    package var path: String
    package var reason: String

    package var description: String { "cannot lock \(path): \(reason)" }
}
