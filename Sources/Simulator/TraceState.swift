import LayerPlacement
import LeaderElection
import Primitives
import Runtime
import SWIM

/// What a node is to whoever looks at it from outside, for the lanes of a diagram.
struct TraceState: Equatable {
    enum Role: String {
        case down, stalled
        case noMaster = "no master"
        case preVote = "pre-vote"
        case candidate, follower, master
    }

    var role: Role
    /// `term/node` of the master obeyed, or of the candidacy.
    var ballot: String?
    var obeys: String?
    /// How many members it takes for present, itself included.
    var sees = 0
    var worker: String?
    var launch: String?
    /// For whose ballot its rpc-server and its llama-server were started.
    var rpcServer: String?
    var llamaServer: String?
    /// Under `quorum`: by whom masters are elected, as far as it knows, and which state of the
    /// voters that is (`term.version`).
    var voters: [String] = []
    var votersID: String?

    static let down = TraceState(role: .down)

    var details: [TraceDetail] {
        var details: [TraceDetail] = [.text("role", role.rawValue)]
        if let ballot { details.append(.text("ballot", ballot)) }
        if let obeys { details.append(.text("obeys", obeys)) }
        if role != .down { details.append(.number("sees", UInt64(sees))) }
        if let worker { details.append(.text("worker", worker)) }
        if let launch { details.append(.text("launch", launch)) }
        if let rpcServer { details.append(.text("rpcServer", rpcServer)) }
        if let llamaServer { details.append(.text("llamaServer", llamaServer)) }
        if let votersID {
            details.append(.names("voters", voters))
            details.append(.text("votersID", votersID))
        }
        return details
    }

    var words: String {
        let ballot = ballot ?? "?"
        var words =
            switch role {
            case .down: "does not run"
            case .stalled: "stalled" + (obeys.map { ", obeyed \($0) before" } ?? "")
            case .noMaster: "knows no master"
            case .preVote: "asks whether it would be elected, \(ballot)"
            case .candidate: "stands for master, \(ballot)"
            case .follower: "obeys \(obeys ?? "?"), ballot \(ballot)"
            case .master: "is master, ballot \(ballot)"
            }
        if role != .down { words += ", sees \(sees)" }
        if let worker { words += ", its worker is \(worker)" }
        if let launch { words += ", the launch is \(launch)" }
        if let rpcServer { words += ", its rpc-server works for \(rpcServer)" }
        if let llamaServer { words += ", its llama-server was started for \(llamaServer)" }
        if let votersID {
            words += ", counts the votes of \(voters.joined(separator: ", ")) (\(votersID))"
        }
        return words
    }
}

extension Simulation {
    /// Writes a line if the node is in another state than when this was last asked.
    func traceState(of host: SimulatedHost) {
        guard let writer = trace.writer else { return }
        let state = state(of: host, before: writer.state(of: host.index))
        guard writer.keep(state, of: host.index) else { return }
        trace.line(.state, now, node: host.index, from: nil, to: nil, state.words, state.details)
    }

    private func state(of host: SimulatedHost, before: TraceState?) -> TraceState {
        guard let loop = host.loop, let core = host.core else { return .down }
        if host.isStalled, var before, before.role != .down {
            before.role = .stalled
            return before
        }
        var state = TraceState(role: .noMaster)
        loop.run {
            let machine = core.election.assumeIsolated { $0.machine }
            // What is not stored yet is obeyed by nobody, this node included.
            let obeyed = core.placement.assumeIsolated { $0.obeyed }
            state.obeys = obeyed.map { name(of: $0.node) }
            state.ballot = obeyed.map(text)
            if let obeyed {
                state.role = obeyed.node == host.identity ? .master : .follower
            }
            if let configuration = machine.record.configuration {
                state.votersID = "\(configuration.id.term).\(configuration.id.version)"
                state.voters = configuration.voters.map(voterName)
            }
            if case .candidate(let candidacy) = machine.role {
                state.role = candidacy.isPreVote ? .preVote : .candidate
                state.ballot = text(candidacy.ballot)
            }
            // Views are long; they change with news only.
            if host.hasNews || before?.sees ?? 0 == 0 {
                state.sees = core.snapshot().view.count { $0.state.isPresent }
            } else {
                state.sees = before?.sees ?? 0
            }
            state.worker = core.placement.assumeIsolated { $0.worker.service?.state }.map {
                "\($0)"
            }
            state.launch = core.placement.assumeIsolated { $0.launch.report?.phase }.map { "\($0)" }
        }
        state.rpcServer = host.rpcServer?.session.map { text($0.ballot) }
        state.llamaServer = host.llamaServer?.session.map { text($0.ballot) }
        if host.isStalled { state.role = .stalled }
        return state
    }

    /// A voter whose device has lost its disk never votes again, whoever runs there now.
    private func voterName(_ id: NodeID) -> String {
        let isThere = hosts.contains { $0.identity == id }
        return isThere ? name(of: id) : "\(name(of: id)) of before"
    }
}
