import Primitives
import Testing
import VirtualTime

@testable import LeaderElection

/// Several election machines on a virtual clock, with a network and disks that misbehave by seed.
///
/// What must always hold (S1, S2, votes, what is on disk before what is sent) is checked with
/// every effect.
final class ElectionCluster {
    struct Node {
        var machine: ElectionMachine
        var isRunning = false
        var life = 0
        var timers: [ElectionTimer: Int] = [:]
        /// What survives a crash.
        var disk = ElectionRecord()
        var isServing = false
        var view: [Int] = []
        var events: [(at: Instant, event: ElectionEvent)] = []
    }

    private struct Term: Hashable {
        let founder: NodeID
        let term: UInt64
    }

    private enum Happening {
        case message(ElectionMessage, from: Int, to: Int)
        case timer(ElectionTimer, of: Int, life: Int, token: Int)
        case view([Int], of: Int, round: Int)
    }

    var nodes: [Node] = []
    private(set) var now = Instant.origin
    /// Of the machines that start from now on.
    var policy = ElectionPolicy.available
    /// Every other device has not been updated yet.
    var hearsBeats: (_ index: Int) -> Bool = { $0 % 2 == 0 }
    var loss = 0.0
    var duplication = 0.0
    /// The chance of a crash before each effect.
    var crashes = 0.0
    var latency: ClosedRange<Duration> = .milliseconds(1)...(.milliseconds(10))
    var passes: (_ from: Int, _ to: Int) -> Bool = { _, _ in true }
    /// Whether everybody counts the same members, so that leases must exclude each other.
    var checksLeases = false
    private var elected: [Ballot: Int] = [:]
    private var reigned: [Term: Int] = [:]
    private var schedule = Schedule<Happening>()
    private var generator: SeededGenerator
    private(set) var beatsObeyed = 0
    private var nextToken = 0
    /// Counts what membership noticed; only the last view arrives.
    private var noticed = 0

    init(count: Int, seed: UInt64) {
        generator = SeededGenerator(seed: seed)
        for index in 0..<count {
            let machine = ElectionMachine(own: Self.id(index), record: ElectionRecord(), seed: 0)
            nodes.append(Node(machine: machine, view: Array(0..<count)))
        }
    }

    static func configuration(_ policy: ElectionPolicy) -> ElectionConfiguration {
        var configuration = ElectionConfiguration()
        configuration.policy = policy
        return configuration
    }

    static func id(_ index: Int) -> NodeID { NodeID(UInt128(index + 1)) }
    static func index(_ id: NodeID) -> Int { Int(id.rawValue) - 1 }

    func start(_ index: Int) {
        nodes[index].life += 1
        nodes[index].isRunning = true
        nodes[index].timers = [:]
        nodes[index].isServing = false
        nodes[index].machine = ElectionMachine(
            own: Self.id(index),
            record: nodes[index].disk,
            configuration: Self.configuration(policy),
            seed: generator.next()
        )
        handle(.start, at: index)
        see(nodes[index].view, at: index)
    }

    func startAll() {
        for index in nodes.indices { start(index) }
    }

    func kill(_ index: Int) { nodes[index].isRunning = false }

    /// What membership says: these take part.
    func see(_ members: [Int], at index: Int) {
        nodes[index].view = members
        let standings = members.map {
            Standing(
                holdsWantedModel: true,
                hasEngine: true,
                node: Self.id($0),
                policy: nodes[$0].life == 0 ? policy : nodes[$0].machine.configuration.policy,
                hearsBeats: hearsBeats($0)
            )
        }
        handle(.members(standings), at: index)
    }

    /// Lets membership notice, each member at its own time, who is reachable both ways now.
    func noticeSoon(within limit: Duration = .seconds(6)) {
        noticed += 1
        for index in nodes.indices {
            let reachable = nodes.indices.filter {
                $0 == index || (nodes[$0].isRunning && passes(index, $0) && passes($0, index))
            }
            schedule.add(
                .view(reachable, of: index, round: noticed),
                at: now + generator.duration(in: .milliseconds(500)...limit)
            )
        }
    }

    func serve(_ isServing: Bool, at index: Int) {
        nodes[index].isServing = isServing
        handle(.serving(isServing), at: index)
    }

    func run(for duration: Duration) { run(for: duration) { _ in false } }

    @discardableResult
    func run(for duration: Duration, until isDone: (ElectionCluster) -> Bool) -> Duration? {
        let start = now
        let end = now + duration
        while let next = schedule.next, next <= end {
            guard let (at, what) = schedule.pop() else { break }
            now = at
            switch what {
            case .message(let message, let from, let to):
                handle(.message(message, from: Self.id(from)), at: to)
            case .timer(let timer, let node, let life, let token):
                guard nodes[node].life == life, nodes[node].timers[timer] == token else { break }
                nodes[node].timers[timer] = nil
                handle(.timer(timer), at: node)
            case .view(let members, let node, let round):
                if round == noticed { see(members, at: node) }
            }
            if checksLeases { checkLeases() }
            if isDone(self) { return now - start }
        }
        now = end
        return nil
    }

    func handle(_ input: ElectionInput, at index: Int) {
        guard nodes[index].isRunning else { return }
        var effects: [ElectionEffect] = []
        nodes[index].machine.handle(input, at: now, effects: &effects)
        for effect in effects {
            if crashes > 0, generator.fraction() < crashes {
                kill(index)
                return
            }
            perform(effect, of: index)
        }
    }

    private func perform(_ effect: ElectionEffect, of index: Int) {
        switch effect {
        case .send(let message, let node):
            checkIsOnDisk(message, of: index)
            let to = Self.index(node)
            checkIsUnderstood(message, by: to)
            for _ in 0..<(generator.fraction() < duplication ? 2 : 1) {
                let delay = generator.duration(in: latency)
                guard generator.fraction() >= loss, passes(index, to) else { continue }
                schedule.add(.message(message, from: index, to: to), at: now + delay)
            }
        case .persist(let record): persist(record, of: index)
        case .setTimer(let timer, let delay):
            nextToken += 1
            nodes[index].timers[timer] = nextToken
            schedule.add(
                .timer(timer, of: index, life: nodes[index].life, token: nextToken),
                at: now + delay
            )
        case .cancelTimer(let timer): nodes[index].timers[timer] = nil
        case .emit(let event):
            nodes[index].events.append((now, event))
            switch event {
            case .elected(let ballot), .renewed(let ballot):
                #expect(elected.updateValue(index, forKey: ballot) == nil, "S1: \(ballot) twice")
                #expect(ballot.node == Self.id(index))
                if nodes[index].machine.configuration.policy == .quorum,
                    let founder = nodes[index].machine.record.configuration?.id.founder
                {
                    let term = Term(founder: founder, term: ballot.term)
                    #expect(reigned.updateValue(index, forKey: term) == nil, "S1: \(ballot)")
                }
            case .ballotConflict(let ballot): Issue.record("S1: conflict about \(ballot)")
            case .deposed, .obeys, .masterLost, .stands, .founded, .votersChanged, .foreign,
                .transferEnded, .mayLeave:
                break
            }
        }
    }

    // MARK: - What must always hold

    private func persist(_ record: ElectionRecord, of index: Int) {
        let before = nodes[index].disk
        #expect(record.term >= before.term, "the term falls")
        if record.term == before.term, let vote = before.vote {
            #expect(record.vote == vote, "two votes in term \(record.term)")
        }
        if let obeyed = before.obeyed {
            #expect(record.obeyed.map { $0 >= obeyed } ?? false, "S2: obeys a lower ballot")
        }
        if let voters = before.configuration {
            let next = record.configuration
            let isRising = next == voters || next.map { $0.id.isNewer(than: voters.id) } ?? false
            #expect(isRising, "S6: the voters go back")
        }
        nodes[index].disk = record
    }

    private func checkIsOnDisk(_ message: ElectionMessage, of index: Int) {
        let disk = nodes[index].disk
        switch message {
        case .voteRequest(let request):
            #expect(disk.term == request.ballot.term && disk.vote == request.ballot.node)
        case .voteReply(let reply) where reply.isGranted:
            #expect(disk.term == reply.ballot.term && disk.vote == reply.ballot.node)
        case .heartbeat(let heartbeat):
            #expect(disk.obeyed == heartbeat.ballot)
            #expect(disk.configuration == heartbeat.configuration)
        case .heartbeatReply(let reply) where reply.isObeyed:
            #expect(disk.obeyed == reply.ballot && disk.term >= reply.ballot.term)
            #expect(disk.configuration?.id == reply.configuration)
        case .beat(let beat):
            #expect(disk.obeyed == Ballot(term: beat.term, node: Self.id(index)))
            #expect(disk.configuration == nil)
        case .beatObeyed(let answer):
            #expect(disk.obeyed?.term == answer.term && disk.term == answer.term)
        case .preVoteRequest, .preVoteReply, .voteReply, .heartbeatReply, .resign, .configuration,
            .transferOffer, .transferAnswer, .handOver, .release:
            break
        }
    }

    private func checkIsUnderstood(_ message: ElectionMessage, by index: Int) {
        switch message {
        case .beat: #expect(hearsBeats(index), "a beat to who does not know beats")
        case .beatObeyed: beatsObeyed += 1
        case .preVoteRequest, .preVoteReply, .voteRequest, .voteReply, .heartbeat,
            .heartbeatReply, .resign, .configuration, .transferOffer, .transferAnswer, .handOver,
            .release:
            break
        }
    }

    private func checkLeases() {
        let holders = running.filter { index in
            guard case .master(let reign) = nodes[index].machine.role else { return false }
            return reign.leaseEnd > now
        }
        #expect(holders.count <= 1, "two valid leases: \(holders)")
    }
}

// Questions.
extension ElectionCluster {
    var running: [Int] { nodes.indices.filter { nodes[$0].isRunning } }

    var masters: [Int] {
        running.filter {
            if case .master = nodes[$0].machine.role { return true }
            return false
        }
    }

    func ballot(of index: Int) -> Ballot? { nodes[index].machine.master }

    /// Whether exactly one of these is master, and all of them obey it.
    func isSettled(_ side: [Int]) -> Bool {
        let masters = masters.filter(side.contains)
        guard let master = masters.first, masters.count == 1 else { return false }
        return side.allSatisfy { ballot(of: $0) == ballot(of: master) }
    }

    var isSettled: Bool { isSettled(running) }

    func events(where isAsked: (ElectionEvent) -> Bool) -> Int {
        nodes.reduce(0) { $0 + $1.events.count { isAsked($0.event) } }
    }

    func forgetEvents() {
        for index in nodes.indices { nodes[index].events = [] }
    }
}
