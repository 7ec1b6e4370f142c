/// Reads what is added to a log, from one file to the next when it is rotated.
///
/// Looks again at every poll instead of being told: rotation, truncation and removal then need no
/// cases of their own at the operating system, and a fifth of a second is soon enough for people.
struct LogFollower {
    private let directory: String
    private var file: OpenFile?
    private var offset = 0
    private var splitter = LineSplitter()

    init(directory: String) {
        self.directory = directory
    }

    /// Goes on from a place in a file that is open already.
    mutating func begin(at offset: Int, of file: OpenFile) {
        self.file = file
        self.offset = offset
        splitter.reset()
    }

    /// Hands over the lines that have been completed since the last poll.
    mutating func poll(_ onLine: ([UInt8]) throws -> Void) throws {
        let current = try? OpenFile.reading(path(0))
        guard let file, let facts = FileFacts(file) else {
            if let current { try start(current, onLine) }
            return
        }
        guard let current, let currentFacts = FileFacts(current) else {
            // Between two renames of a rotation, or removed: ours may still have grown.
            return try readToEnd(of: file, onLine)
        }
        if currentFacts.identity == facts.identity {
            if facts.byteCount < offset {
                // Truncated: what is in it now, we have not seen.
                offset = 0
                splitter.reset()
            }
            return try readToEnd(of: file, onLine)
        }
        // The writer renames a file when it is done with it: what we read now is all of it.
        try readToEnd(of: file, onLine)
        for between in filesBetween(facts.identity, and: currentFacts.identity) {
            try start(between, onLine)
        }
        try start(current, onLine)
    }

    private func path(_ number: Int) -> String {
        LogFileConfiguration.path(in: directory, number: number)
    }

    private mutating func start(
        _ next: OpenFile,
        _ onLine: ([UInt8]) throws -> Void
    ) throws {
        begin(at: 0, of: next)
        try readToEnd(of: next, onLine)
    }

    /// The files that were begun and put aside since we last looked, the oldest first.
    ///
    /// None if ours is not among the rotated files: it was removed, and those that are there are
    /// older than it.
    private func filesBetween(_ ours: FileIdentity, and current: FileIdentity) -> [OpenFile] {
        var between: [OpenFile] = []
        for number in 1...LogTail.rotatedFileLimit {
            guard let file = try? OpenFile.reading(path(number)), let facts = FileFacts(file) else {
                return []
            }
            if facts.identity == ours { return between.reversed() }
            if facts.identity != current { between.append(file) }
        }
        return []
    }

    private mutating func readToEnd(
        of file: OpenFile,
        _ onLine: ([UInt8]) throws -> Void
    ) throws {
        while true {
            let bytes = try file.read(LineLimits.blockByteCount, at: offset)
            if bytes.isEmpty { return }
            offset += bytes.count
            try splitter.feed(bytes, onLine)
        }
    }
}
