internal import CPosix
internal import EventLoop

// A pair whose second side is opened when there is something for it.
extension RelayWorker {
    func askForSecond(_ id: UInt64, _ pair: RelayPair) {
        guard let opening = pair.opening, !opening.isAsked, !opening.waiting.isEmpty else {
            return
        }
        pair.opening?.isAsked = true
        opening.open { [self] result in
            loop.execute { self.assumeIsolated { $0.opened(result, for: id) } }
        }
    }

    private func opened(_ result: Result<RelayOpened, StreamClosure>, for id: UInt64) {
        guard let pair = pairs[id], let opening = pair.opening else {
            // The first side has ended meanwhile.
            if case .success(let opened) = result {
                Socket(owning: opened.stream.descriptor).abort()
            }
            return
        }
        do throws(StreamClosure) {
            let opened = try result.get()
            pair.opening = nil
            pair.second = RelayPair.End(
                socket: Socket(owning: opened.stream.descriptor),
                seal: opened.records.map(RelaySeal.init)
            )
            pair.fromFirst.keep(opened.stream.unsent[...])
            if let filter = opened.makeFilter?() {
                try passWaiting(opening.waiting, through: filter, pair)
            } else {
                try put(opening.waiting, .first, pair)
            }
            try updateInterests(id, pair)
        } catch {
            finish(id, error)
        }
    }

    private func passWaiting(
        _ waiting: [UInt8],
        through filter: any RelayFilter,
        _ pair: RelayPair
    ) throws(StreamClosure) {
        do throws(RelayFilterError) {
            try filter.pass(waiting[...], from: .first, toFirst: &toFirst, toSecond: &toSecond)
        } catch {
            toFirst.removeAll()
            toSecond.removeAll()
            throw .reset
        }
        pair.add(filter)
        try writeFiltered(pair)
    }
}
