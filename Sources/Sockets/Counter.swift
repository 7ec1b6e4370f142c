internal import Synchronization

/// A number that one thread adds to and any thread reads.
struct Counter: ~Copyable, Sendable {
    private let value = Atomic<UInt64>(0)

    func add(_ amount: Int = 1) {
        value.wrappingAdd(UInt64(max(0, amount)), ordering: .relaxed)
    }

    var total: UInt64 { value.load(ordering: .relaxed) }
}
