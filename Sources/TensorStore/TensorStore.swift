import CPosix
import Dispatch
package import Primitives
import Synchronization
import SystemPackage
package import TensorPieces

/// The pieces of tensors that a device keeps, so that weights travel once.
///
/// Callable from any thread; nothing here is done on the caller's. What is read is checked against
/// its name, so a damaged store gives too little, never something wrong.
package final class TensorStore: Sendable {
    package let folder: PieceFolder
    private let freeByteMinimum: UInt64
    private let log: @Sendable (LogRecord) -> Void
    private let state: Mutex<State>
    let copies: CopyList
    /// Reads and writes have a queue each: a launch waits for the former only.
    private let reader = DispatchQueue(label: "caravan.tensors.read")
    private let writer = DispatchQueue(label: "caravan.tensors.write")
    /// Never waits for the disk.
    private let timers = DispatchQueue(label: "caravan.tensors.timers")

    /// How much waits to be written at most; what comes beyond it is not kept.
    package static let backlogByteLimit = 8 << 20
    /// So much of the disk is left to others, whatever the limit says.
    package static let freeByteMinimum: UInt64 = 128 << 20
    /// After a failure to write, the disk is left alone for so long.
    private static let restTime: Duration = .seconds(60)
    private static let reportDelay: DispatchTimeInterval = .seconds(1)

    private struct State {
        var index = PieceIndex(byteLimit: 0)
        /// Changes when somebody clears the store.
        var incarnation: Int64 = 0
        var counts = StoreCounts()
        var backlogByteCount = 0
        var waiting: [@Sendable () -> Void] = []
        var lastAside: UInt64 = 0
        var restsUntil: ContinuousClock.Instant?
        var isReportDue = false
    }

    /// - Parameters:
    ///   - limit: how much is kept; nil for what fits the disk.
    ///   - models: a folder whose GGUF files are as good as a store.
    package init(
        _ folder: PieceFolder,
        limit: ByteCount?,
        models: String?,
        freeByteMinimum: UInt64 = TensorStore.freeByteMinimum,
        log: @escaping @Sendable (LogRecord) -> Void
    ) {
        self.folder = folder
        self.freeByteMinimum = freeByteMinimum
        self.log = log
        state = Mutex(State())
        copies = CopyList(folder, models: models)
        // Before all else that these queues do.
        let isLoaded = DispatchSemaphore(value: 0)
        reader.async { [self] in
            load(limit)
            isLoaded.signal()
        }
        writer.async { isLoaded.wait() }
        copies.follow { [weak self] in self?.reportSoon() }
    }

    /// Writes what it did to the disk; blocks until all that waits is written.
    package func stop() {
        copies.stop()
        writer.sync { saveReport() }
    }

    package var report: StoreReport {
        let list = copies.summary
        return state.withLock { state in
            var report = StoreReport(limitBytes: state.index.byteLimit)
            report.counts = state.counts
            report.copiedFiles = list.files
            report.copiedPieces = list.pieces
            report.pendingFiles = list.pending
            return report
        }
    }

    package var usedByteCount: UInt64 { state.withLock { $0.index.byteCount } }

    // MARK: - A launch

    /// A launch begins: what it uses from here on is not pushed out by what it brings.
    package func begin() -> PieceIndex.Use {
        copies.begin()
        reader.async { [self] in
            loadAgainIfCleared()
            copies.awaitSurvey()
        }
        return state.withLock { $0.index.begin() }
    }

    /// Looks for a piece; the completion comes on another thread, in the order of the calls.
    ///
    /// - Parameter place: of which tensor it is: there a GGUF file may have it.
    package func look(
        _ name: PieceName,
        byteCount: Int,
        at place: TensorPlace? = nil,
        completion: @escaping @Sendable ([UInt8]?) -> Void
    ) {
        reader.async { [self] in
            if let bytes = copies.read(name, byteCount: byteCount, at: place) {
                count(found: byteCount) { $0.copyHits += 1 }
                completion(bytes)
            } else if let bytes = read(name, byteCount: byteCount) {
                count(found: byteCount) { $0.hits += 1 }
                completion(bytes)
            } else {
                state.withLock { state in
                    state.counts.misses += 1
                    state.counts.missedBytes += UInt64(byteCount)
                }
                completion(nil)
            }
            reportSoon()
        }
    }

    private func count(found byteCount: Int, _ change: (inout StoreCounts) -> Void) {
        state.withLock { state in
            change(&state.counts)
            state.counts.foundBytes += UInt64(byteCount)
        }
    }

    private func read(_ name: PieceName, byteCount: Int) -> [UInt8]? {
        guard state.withLock({ $0.index.byteCount(of: name) }) == byteCount else { return nil }
        switch folder.read(name, byteCount: byteCount) {
        case .bytes(let bytes):
            state.withLock { $0.index.use(name) }
            folder.touch(name)
            return bytes
        case .missing:
            state.withLock { $0.index.remove(name) }
            return nil
        case .damaged:
            folder.remove(name)
            let total = state.withLock { state in
                state.index.remove(name)
                state.counts.corrupt += 1
                return state.counts.corrupt
            }
            tellDamage(name, total)
            return nil
        }
    }

    /// The 1st, 10th, 100th … time.
    private func tellDamage(_ name: PieceName, _ total: UInt64) {
        guard total.isPowerOfTen else { return }
        log(
            LogRecord(
                "tensors.damaged",
                .warning,
                "A piece of the tensor store was damaged: it was deleted, and the master sends it "
                    + "again. If this happens often, look after the disk.",
                ["path": .text(folder.file(of: name)), "total": .integer(Int64(total))]
            )
        )
    }

    /// Keeps a piece, if it is what its name says and there is room.
    package func keep(_ name: PieceName, _ bytes: [UInt8], since begin: PieceIndex.Use) {
        let isTaken = state.withLock { state in
            guard state.backlogByteCount < Self.backlogByteLimit, !Self.rests(&state) else {
                state.counts.notKept += 1
                return false
            }
            state.backlogByteCount += bytes.count
            return true
        }
        guard isTaken else { return }
        writer.async { [self] in
            write(name, bytes, since: begin)
            let waiting = state.withLock { state in
                state.backlogByteCount -= bytes.count
                guard state.backlogByteCount < Self.backlogByteLimit else {
                    return [@Sendable () -> Void]()
                }
                defer { state.waiting = [] }
                return state.waiting
            }
            for wake in waiting { wake() }
            reportSoon()
        }
    }

    /// Whether so much waits to be written that `keep` takes no more now.
    package var isFull: Bool {
        state.withLock { state in
            state.backlogByteCount >= Self.backlogByteLimit && !Self.rests(&state)
        }
    }

    /// Calls once, on another thread, when `keep` takes more, and after the time given at the
    /// latest.
    package func whenRoom(within time: Duration, _ call: @escaping @Sendable () -> Void) {
        let once = Once(call)
        let isFull = state.withLock { state in
            guard state.backlogByteCount >= Self.backlogByteLimit else { return false }
            state.waiting.append { once.run() }
            return true
        }
        guard isFull else {
            timers.async { once.run() }
            return
        }
        let milliseconds = time.components.seconds * 1000 + 1
        timers.asyncAfter(deadline: .now() + .milliseconds(Int(clamping: milliseconds))) {
            once.run()
        }
    }

    private static func rests(_ state: inout State) -> Bool {
        guard let until = state.restsUntil else { return false }
        if ContinuousClock.now < until { return true }
        state.restsUntil = nil
        return false
    }

    private func write(_ name: PieceName, _ bytes: [UInt8], since begin: PieceIndex.Use) {
        // Whoever sent it may have lied, or erred.
        guard PieceName(of: bytes[...]) == name else {
            return state.withLock { $0.counts.notKept += 1 }
        }
        if let free = folder.freeByteCount, free < freeByteMinimum + UInt64(bytes.count) {
            return rest(because: "the disk is nearly full (\(ByteCount(free)) left)")
        }
        let (victims, aside) = state.withLock { state in
            state.lastAside += 1
            return (
                state.index.admit(name, byteCount: bytes.count, since: begin),
                state.lastAside
            )
        }
        guard let victims else { return state.withLock { $0.counts.notKept += 1 } }
        for victim in victims { folder.remove(victim) }
        do {
            try folder.write(bytes, as: name, aside: aside)
            state.withLock { state in
                state.counts.stored += 1
                state.counts.evicted += UInt64(victims.count)
            }
        } catch {
            state.withLock { $0.index.remove(name) }
            rest(because: "\(error)")
        }
    }

    private func rest(because reason: String) {
        state.withLock { state in
            state.counts.notKept += 1
            state.restsUntil = .now + Self.restTime
        }
        log(
            LogRecord(
                "tensors.notKept",
                .warning,
                "Weights are not kept for the next minute: \(reason). Models run all the same, but "
                    + "load slower next time. `caravan cache` shows what is kept.",
                ["path": .text(folder.path), "reason": .text(reason)]
            )
        )
    }

    // MARK: - The folder

    private func load(_ limit: ByteCount?) {
        do {
            try folder.make()
        } catch {
            log(
                LogRecord(
                    "tensors.failed",
                    .error,
                    "No weights can be kept in \(folder.path): \(error)",
                    ["path": .text(folder.path), "reason": .text("\(error)")]
                )
            )
        }
        let entries = folder.entries(removingLeftovers: true)
        let used = entries.reduce(UInt64(0)) { $0 + UInt64($1.byteCount) }
        let limit = limit ?? folder.defaultLimit(usedByteCount: used)
        let victims = state.withLock { state in
            _ = state.index.limit(to: limit.bytes)
            state.counts = folder.report?.counts ?? StoreCounts()
            state.incarnation = folder.incarnation
            let victims = state.index.load(entries.map { ($0.name, $0.byteCount) })
            state.counts.evicted += UInt64(victims.count)
            return victims
        }
        for victim in victims { folder.remove(victim) }
        reportSoon()
    }

    private func loadAgainIfCleared() {
        let incarnation = folder.incarnation
        guard state.withLock({ $0.incarnation }) != incarnation else { return }
        try? folder.make()
        let entries = folder.entries()
        state.withLock { state in
            state.incarnation = folder.incarnation
            state.index.removeAll()
            _ = state.index.load(entries.map { ($0.name, $0.byteCount) })
        }
    }

    /// Runs something at most once.
    private final class Once: Sendable {
        private let action: Mutex<(@Sendable () -> Void)?>

        init(_ action: @escaping @Sendable () -> Void) {
            self.action = Mutex(action)
        }

        func run() {
            action.withLock { action in
                defer { action = nil }
                return action
            }?()
        }
    }

    private func reportSoon() {
        let isFirst = state.withLock { state in
            defer { state.isReportDue = true }
            return !state.isReportDue
        }
        guard isFirst else { return }
        writer.asyncAfter(deadline: .now() + Self.reportDelay) { [weak self] in
            self?.saveReport()
        }
    }

    private func saveReport() {
        state.withLock { $0.isReportDue = false }
        // Told on the next change; a full disk is told of elsewhere.
        try? folder.save(report)
    }
}
