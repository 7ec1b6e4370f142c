package import EventLoop
package import SecureChannel

/// A second side that is opened when it is needed.
package struct RelayOpening {
    package typealias Completion = @Sendable (Result<RelayOpened, StreamClosure>) -> Void
    /// Opens it; the completion may come on any thread, and must come.
    package typealias Open = @Sendable (@escaping Completion) -> Void

    let open: Open
    var isAsked = false
    /// What the second side gets first.
    var waiting: [UInt8] = []

    init(_ open: @escaping Open) {
        self.open = open
    }
}

/// A stream that was opened for a pair.
package struct RelayOpened: Sendable {
    package var stream: DetachedStream
    /// Its keys, if it is sealed.
    package var records: RecordLayer?
    /// Makes what sees the bytes between the pair's own filter and this stream; called on the
    /// relay's thread.
    package var makeFilter: (@Sendable () -> any RelayFilter)?

    package init(
        stream: DetachedStream,
        records: RecordLayer?,
        makeFilter: (@Sendable () -> any RelayFilter)? = nil
    ) {
        self.stream = stream
        self.records = records
        self.makeFilter = makeFilter
    }
}
