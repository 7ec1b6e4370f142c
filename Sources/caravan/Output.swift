import SystemPackage

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Android)
import Android
#elseif canImport(Darwin)
import Darwin
#endif

/// Standard output, for what is printed piece by piece.
enum Output {
    /// Pipes are block-buffered; somebody may be reading along.
    static func flush() {
        fflush(nil)
    }

    static func write(_ text: String) {
        print(text, terminator: "")
        flush()
    }

    static func writeError(_ text: String) {
        writeErrorPiece(text + "\n")
    }

    static func writeErrorPiece(_ text: String) {
        // Not through stdio: its standard error is shared mutable state to Swift.
        _ = try? FileDescriptor.standardError.writeAll(Array(text.utf8))
    }

    /// How wide the terminal is on which standard output is shown; nil if it is none.
    static var columnCount: Int? {
        guard isatty(STDOUT_FILENO) == 1 else { return nil }
        var size = winsize()
        let isKnown = unsafe ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0
        return isKnown && size.ws_col > 0 ? Int(size.ws_col) : 80
    }

    static var errorIsTerminal: Bool { isatty(STDERR_FILENO) == 1 }
}

extension Output {
    /// Whether standard output is a terminal on which colours are welcome.
    static var wantsColours: Bool {
        guard isatty(STDOUT_FILENO) == 1 else { return false }
        return unsafe getenv("NO_COLOR") == nil
    }
}
