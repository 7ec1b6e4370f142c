import Primitives

/// What happened, as a rolling hash always and as JSON lines on demand.
struct Trace {
    enum Kind: String {
        case timer, action, job, deliver, outside, send, lost, log, fault, start, stop
        case violation, state, stream
    }

    private(set) var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    /// The number of the event that is being handled.
    private(set) var index: UInt64 = 0
    /// Nil unless lines are wanted.
    let writer: TraceWriter?

    init(nodeCount: Int, write: ((String) -> Void)?) {
        writer = write.map { TraceWriter(nodeCount: nodeCount, write: $0) }
    }

    var isWriting: Bool { writer != nil }

    mutating func begin(_ kind: Kind, _ now: Int64, _ node: Int, _ cause: UInt64) {
        index += 1
        mix(UInt64(bitPattern: now))
        mix(UInt64(truncatingIfNeeded: node) << 8 | kind.code)
        writer?.begin(index, cause: cause)
    }

    mutating func mix(_ value: UInt64) {
        hash = (hash ^ value) &* 0x9E37_79B9_7F4A_7C15
        hash ^= hash >> 29
    }

    mutating func mix(_ bytes: [UInt8]) {
        var word: UInt64 = UInt64(bytes.count)
        let span = bytes.span
        var offset = 0
        while offset + 8 <= span.count,
            let whole = try? span.readBigEndian(UInt64.self, at: &offset)
        {
            mix(whole)
            word = 0
        }
        for index in offset..<span.count { word = word << 8 | UInt64(span[index]) }
        mix(word)
    }

    mutating func mix(_ text: String) {
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    }

    /// Writes a line about something that belongs to the current event.
    ///
    /// - Parameter node: where it happens, if that is not `from`.
    func line(
        _ kind: Kind,
        _ now: Int64,
        node: Int? = nil,
        from: Int?,
        to: Int?,
        _ message: @autoclosure () -> String,
        _ details: @autoclosure () -> [TraceDetail] = []
    ) {
        guard let writer else { return }
        writer.line(kind, now, node: node ?? from, from: from, to: to, message(), details())
    }
}

extension Trace.Kind {
    fileprivate var code: UInt64 {
        switch self {
        case .timer: 1
        case .action: 2
        case .job: 3
        case .deliver: 4
        case .outside: 5
        case .send, .lost, .log, .fault, .start, .stop, .violation, .state, .stream: 6
        }
    }
}
