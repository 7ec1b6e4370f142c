import EventLoop
import Primitives

/// Keeps the durable record of an agent: each actor changes its part, all of it is written.
///
/// Writes never overlap; changes made during a write go into the next one together.
package actor StateKeeper {
    private nonisolated let world: World
    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        world.loop.executor
    }

    package private(set) var record: DurableRecord
    private var waiting: [@Sendable () -> Void] = []
    private var isWriting = false
    private var hasComplained = false

    private static let retryInterval: Duration = .seconds(1)

    init(world: World, record: DurableRecord) {
        self.world = world
        self.record = record
    }

    /// Changes the record; `completion` follows on the loop once the change is on disk.
    ///
    /// A disk that refuses is tried again for ever: what must be durable first does not happen.
    func update(
        _ change: (inout DurableRecord) -> Void,
        completion: @escaping @Sendable () -> Void
    ) {
        change(&record)
        if Mutant.actsBeforeDisk.isPlanted {
            completion()
            waiting.append {}
        } else {
            waiting.append(completion)
        }
        write()
    }

    /// What waits for a write that never comes holds the other actors.
    func dismantle() {
        waiting = []
    }

    private func write() {
        guard !isWriting, !waiting.isEmpty else { return }
        isWriting = true
        let completions = waiting
        waiting = []
        world.store.save(record) { [self] isKept in
            assumeIsolated { $0.written(isKept, completions) }
        }
    }

    private func written(_ isKept: Bool, _ completions: [@Sendable () -> Void]) {
        isWriting = false
        guard isKept else {
            waiting = completions + waiting
            if !hasComplained {
                hasComplained = true
                world.observer.log(
                    LogRecord(
                        "agent.state.unwritable",
                        .error,
                        "The state folder cannot be written: this agent takes no part in "
                            + "elections until it can. Free space or mend its permissions."
                    )
                )
            }
            world.loop.schedule(after: Self.retryInterval) { [self] in
                assumeIsolated { $0.write() }
            }
            return
        }
        hasComplained = false
        for completion in completions { completion() }
        write()
    }
}

/// Holds back what a machine wants done until what must be durable first is on disk.
struct WriteBarrier<Effect> {
    private(set) var isClosed = false
    private var held: [Effect] = []

    mutating func close() {
        isClosed = true
    }

    mutating func hold(_ effect: Effect) {
        held.append(effect)
    }

    var heldCount: Int { held.count }

    mutating func dropFirst(where matches: (Effect) -> Bool) {
        guard let index = held.firstIndex(where: matches) else { return }
        held.remove(at: index)
    }

    /// - Returns: how many were dropped.
    mutating func drop(where matches: (Effect) -> Bool) -> Int {
        let before = held.count
        held.removeAll(where: matches)
        return before - held.count
    }

    /// Opens, and returns what was held, in order.
    mutating func open() -> [Effect] {
        isClosed = false
        defer { held = [] }
        return held
    }
}
