/// A file that a device gives away.
package struct ServedFile: Sendable {
    package var byteCount: UInt64
    /// Another one when the file has changed: an HTTP entity tag, with its quotes.
    package var tag: String
    /// Bytes from an offset on, at most so many; none at the end.
    package var read: @Sendable (UInt64, Int) async throws -> [UInt8]

    package init(
        byteCount: UInt64,
        tag: String,
        read: @escaping @Sendable (UInt64, Int) async throws -> [UInt8]
    ) {
        self.byteCount = byteCount
        self.tag = tag
        self.read = read
    }
}
