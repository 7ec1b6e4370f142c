package import Primitives

/// What happens later, in the order of time; a binary heap.
package struct Schedule<Happening> {
    private var heap: [(at: Instant, order: Int, what: Happening)] = []
    private var nextOrder = 0

    package init() {}

    package var next: Instant? { heap.first?.at }

    package mutating func add(_ what: Happening, at moment: Instant) {
        heap.append((moment, nextOrder, what))
        nextOrder += 1
        var child = heap.count - 1
        while child > 0, isEarlier(child, than: (child - 1) / 2) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    package mutating func pop() -> (at: Instant, what: Happening)? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        guard !heap.isEmpty else { return (first.at, first.what) }
        heap[0] = last
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < heap.count && isEarlier(child, than: least) {
                least = child
            }
            if least == parent { return (first.at, first.what) }
            heap.swapAt(parent, least)
            parent = least
        }
    }

    private func isEarlier(_ left: Int, than right: Int) -> Bool {
        (heap[left].at, heap[left].order) < (heap[right].at, heap[right].order)
    }
}
