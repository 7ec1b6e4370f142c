package import EventLoop
package import Primitives
import SWIM

/// The idle streams between this agent and one other.
struct Watch {
    let member: NodeID
    /// Whether this agent dials, rather than waits to be dialled.
    var dials: Bool
    /// Usually one; two when both have dialled.
    var standing: [UInt64] = []
    var dialling: UInt64?
    var retryDelay = Watch.firstRetry
    var nextTry: Instant

    static let firstRetry: Duration = .seconds(1)
    static let retryLimit: Duration = .seconds(60)
    /// How long the other side has to dial before this one tries.
    static let patience: Duration = .seconds(5)
}

/// What streams have shown about the way between this agent and a member.
package struct Reach: Equatable, Sendable {
    package enum Dial: Equatable, Sendable {
        case untried
        /// The member answered on a stream that this agent dialled.
        case stood(Instant)
        case failed(StreamClosure, Instant)
    }

    package let member: NodeID
    package internal(set) var dial = Dial.untried {
        didSet {
            switch dial {
            case .untried: break
            case .stood: dials.worked()
            case .failed(_, let moment): dials.failed(at: moment)
            }
        }
    }
    /// Streams that this agent dialled.
    package private(set) var dials = ReachTrials()
    /// Datagrams of this agent's that were to be answered.
    package internal(set) var datagrams = ReachTrials()
    /// When the member last dialled this agent and said something.
    package internal(set) var dialledBy: Instant?
}

// Evidence beats timers: when a process dies, its system ends its streams.
extension Membership {
    /// What is seen of a member in all: streams, and the round trips of probes.
    package func reach(of member: NodeID) -> Reach? {
        reaches.first { $0.member == member }
    }

    func note(_ member: NodeID, _ change: (inout Reach) -> Void) {
        guard member != machine.own.id, machine.others.isPresent(member) else { return }
        let place = reaches.sortedIndex { $0.member < member }
        if place == reaches.count || reaches[place].member != member {
            reaches.insert(Reach(member: member), at: place)
        }
        change(&reaches[place])
    }

    /// A probe was answered: in a large cluster that is kept only of whom something else is known.
    func noteAnswer(of member: NodeID) {
        if reaches.count >= Self.answerLimit {
            let place = reaches.sortedIndex { $0.member < member }
            guard place < reaches.count, reaches[place].member == member else { return }
        }
        note(member) { $0.datagrams.worked() }
    }

    private static let answerLimit = 128

    /// How long changes of the view are collected before streams are opened and closed.
    private static let tendDelay: Duration = .milliseconds(500)

    func tendWatchesSoon() {
        tendWatches(after: Self.tendDelay)
    }

    private func tendWatches(after delay: Duration) {
        guard !isTending else { return }
        isTending = true
        world.loop.schedule(after: delay) { [self] in
            assumeIsolated { membership in
                membership.isTending = false
                membership.tendWatches()
            }
        }
    }

    private func tendWatches() {
        reaches.removeAll { !machine.others.isPresent($0.member) }
        adoptPartners()
        let now = world.loop.now
        for place in watches.indices {
            let watch = watches[place]
            // Who was dead for a moment is a new contact to the machine.
            let stands = !watch.standing.isEmpty
            if let contact = machine.contact(with: watch.member), contact.isWatched != stands {
                handle(.watch(watch.member, stands: stands))
            }
            guard watch.standing.isEmpty, watch.dialling == nil, watch.nextTry <= now,
                let endpoint = machine.others.endpoint(of: watch.member)
            else { continue }
            watches[place].dialling = open(.watch(watch.member), to: endpoint)
        }
        let missing = watches.filter { $0.standing.isEmpty && $0.dialling == nil }
        if let next = missing.map(\.nextTry).min() {
            tendWatches(after: max(next - now, Self.tendDelay))
        }
    }

    /// Follows the machine's word on whom to watch.
    private func adoptPartners() {
        let now = world.loop.now
        let (dialled, diallers) = machine.watchPartners
        var kept: [Watch] = []
        for (members, dials) in [(dialled, true), (diallers, false)] {
            for member in members {
                if var watch = watches.first(where: { $0.member == member }) {
                    watch.dials = dials
                    kept.append(watch)
                } else {
                    let nextTry = dials ? now : now + Watch.patience
                    kept.append(Watch(member: member, dials: dials, nextTry: nextTry))
                }
            }
        }
        kept.sort { $0.member < $1.member }
        let left = watches.filter { watch in !kept.contains { $0.member == watch.member } }
        watches = kept
        for watch in left {
            for stream in watch.standing { end(stream) }
            if let stream = watch.dialling { end(stream) }
            handle(.watch(watch.member, stands: false))
        }
    }

    private func place(of member: NodeID) -> Int? {
        watches.firstIndex { $0.member == member }
    }

    /// A stream to or from a member is to be kept; false if the member is nobody to watch.
    func startsWatching(_ member: NodeID, _ stream: UInt64) -> Bool {
        guard isPresent(member) else { return false }
        if place(of: member) == nil { adoptPartners() }
        guard let place = place(of: member) else { return false }
        if watches[place].dialling == stream { watches[place].dialling = nil }
        // What stood before may be half-open: the other side dials only if it has none.
        let isMine = if case .watch = streams[stream]?.purpose { true } else { false }
        for old in watches[place].standing where old != stream {
            let wasMine = if case .watch = streams[old]?.purpose { true } else { false }
            guard wasMine == isMine else { continue }
            watches[place].standing.removeAll { $0 == old }
            end(old)
        }
        watches[place].standing.append(stream)
        watches[place].retryDelay = Watch.firstRetry
        handle(.watch(member, stands: true))
        return true
    }

    func watchEnded(_ member: NodeID, _ stream: UInt64) {
        guard let place = place(of: member), watches[place].standing.contains(stream) else {
            return
        }
        watches[place].standing.removeAll { $0 == stream }
        watches[place].nextTry =
            world.loop.now + (watches[place].dials ? Watch.firstRetry : Watch.patience)
        let stands = !watches[place].standing.isEmpty
        tendWatchesSoon()
        handle(.evidence(.streamEnded, about: member))
        if stands { handle(.watch(member, stands: true)) }
    }

    /// - Parameter closure: nil if the other side took the stream and said nothing.
    func failedToWatch(_ member: NodeID, _ stream: UInt64, _ closure: StreamClosure?) {
        guard let place = place(of: member), watches[place].dialling == stream else { return }
        let now = world.loop.now
        watches[place].dialling = nil
        watches[place].nextTry = now + watches[place].retryDelay
        watches[place].retryDelay = min(watches[place].retryDelay * 2, Watch.retryLimit)
        failedToDial(member, closure ?? .timedOut)
        tendWatchesSoon()
        if closure == .refused { handle(.evidence(.streamEnded, about: member)) }
    }
}
