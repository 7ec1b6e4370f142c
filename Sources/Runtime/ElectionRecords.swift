package import LeaderElection
import Primitives
package import SWIM

// How an election reads in logs.

extension ElectionEvent {
    func record(own: NodeID, names: [Member]) -> LogRecord {
        switch self {
        case .elected(let ballot):
            LogRecord("election.elected", .notice, "Node elected Master", ballot.fields(names))
        case .renewed(let ballot):
            LogRecord(
                "election.renewed",
                .info,
                "Still master, under a higher ballot",
                ballot.fields(names)
            )
        case .deposed(let ballot, let reason):
            LogRecord(
                "election.deposed",
                .warning,
                "No longer master: \(reason.text)",
                ballot.fields(names).adding("reason", .text(reason.rawValue))
            )
        case .obeys(let ballot):
            LogRecord(
                "election.obeys",
                .notice,
                "Started worker process",
                ballot.fields(names)
            )
        case .masterLost(let ballot, let loss):
            LogRecord(
                "election.masterLost",
                loss == .silent ? .warning : .notice,
                loss.text,
                ballot.fields(names).adding("reason", .text(loss.rawValue))
            )
        case .stands(let ballot):
            LogRecord("election.stands", .debug, "Standing for master", ballot.fields(names))
        case .ballotConflict(let ballot):
            LogRecord(
                "election.ballotConflict",
                .critical,
                "Two masters under one ballot: a state folder was copied or restored",
                ballot.fields(names)
            )
        case .founded, .votersChanged, .foreign: votersRecord(own: own, names: names)
        case .transferEnded(let outcome): outcome.record(names: names)
        case .mayLeave(let isReleased):
            LogRecord(
                "election.mayLeave",
                .notice,
                isReleased
                    ? "Nothing in the cluster counts on this device's vote any more"
                    : "This device is the only one that decides: without it there is no master",
                ["isReleased": .flag(isReleased)]
            )
        }
    }

    private func votersRecord(own: NodeID, names: [Member]) -> LogRecord {
        switch self {
        case .founded(let configuration):
            return LogRecord(
                "election.founded",
                .notice,
                "This device founded a cluster; the others join it by themselves",
                configuration.fields(names)
            )
        case .votersChanged(let configuration):
            let voters = configuration.voters.map(names.name).joined(separator: ", ")
            return LogRecord(
                "election.voters",
                .info,
                "Masters are elected by \(voters)",
                configuration.fields(names)
            )
        case .foreign(let node, .otherPolicy):
            return LogRecord(
                "election.otherPolicy",
                .warning,
                "\(names.name(of: node)) runs another election policy than this device: the two "
                    + "never elect a master together. Start all agents with the same --policy.",
                ["node": .text("\(node)"), "name": .text(names.name(of: node))]
            )
        case .foreign(let node, .otherCluster(let founder)):
            return LogRecord(
                "election.otherCluster",
                .warning,
                "\(names.name(of: node)) belongs to a cluster that \(names.name(of: founder)) "
                    + "founded, and this device to another: they do not become one by themselves. "
                    + "To move a device, stop its agent and start it with a new --state folder.",
                [
                    "node": .text("\(node)"), "name": .text(names.name(of: node)),
                    "founder": .text("\(founder)"),
                ]
            )
        case .elected, .renewed, .deposed, .obeys, .masterLost, .stands, .ballotConflict,
            .transferEnded, .mayLeave:
            return record(own: own, names: names)
        }
    }
}

extension MasterLoss {
    fileprivate var text: String {
        switch self {
        case .silent: "The master fell silent"
        case .resigned: "The master gave up"
        case .handedOver: "The master handed over to another device"
        }
    }
}

extension VoterConfiguration {
    fileprivate func fields(_ names: [Member]) -> [(key: String, value: LogValue)] {
        [
            ("voters", .text(voters.map(names.name).joined(separator: ","))),
            ("term", .integer(Int64(clamping: id.term))),
            ("version", .integer(Int64(id.version))), ("founder", .text("\(id.founder)")),
        ]
    }
}

extension TransferOutcome {
    fileprivate func record(names: [Member]) -> LogRecord {
        LogRecord(
            isDone ? "election.transferred" : "election.transferFailed",
            isDone ? .notice : .warning,
            sentence(names: names),
            [
                ("target", .text(target.map { "\($0)" } ?? "")), ("reason", .text(reason)),
            ]
        )
    }

    /// Whether the target is master now.
    package var isDone: Bool {
        switch result {
        case .done: true
        case .refused, .otherElected, .nobodyElected: false
        }
    }

    /// Short and stable, for programs.
    package var reason: String {
        switch result {
        case .done: "done"
        case .refused(let refusal): refusal.rawValue
        case .otherElected: "otherElected"
        case .nobodyElected: "nobodyElected"
        }
    }

    /// How it ended, and what to do next, for people.
    package func sentence(names: [Member]) -> String {
        let name = target.map { names.name(of: $0) } ?? "another device"
        switch result {
        case .done: return "\(name) is master now"
        case .otherElected(let ballot):
            return "\(name) had agreed, but \(names.name(of: ballot.node)) was elected"
        case .nobodyElected:
            return "\(name) had agreed and then fell silent; an election follows by itself"
        case .refused(let refusal): return refusal.sentence(target: name)
        }
    }
}

extension TransferRefusal {
    fileprivate func sentence(target name: String) -> String {
        switch self {
        case .notMaster: "This device is not the master"
        case .alreadyMaster: "\(name) is the master already"
        case .unknownMember: "No device of that name is there"
        case .silent: "\(name) does not answer: is it on, and reachable from the master?"
        case .hasNoEngine:
            "\(name) has no llama.cpp: run `caravan engine install` on it first"
        case .lacksModel:
            "\(name) does not hold the model that the cluster runs: copy the file there first, "
                + "or stop the model"
        case .takesNoWork: "\(name) takes no work: it is drained, leaving, or has no free memory"
        case .justStarted: "\(name) has just started: try again in some seconds"
        case .obeysOther: "\(name) does not obey this master yet: try again in some seconds"
        case .notAdmitted: "\(name) could not be made a voter in time: try again"
        case .busy: "Mastership is being handed over already"
        case .nobodyElse: "No other device could be master"
        case .deposed: "The master lost its mastership meanwhile: see `caravan status`"
        }
    }
}

extension DepositionReason {
    fileprivate var text: String {
        switch self {
        case .leaseExpired: "too few members answered in time"
        case .gaveWay: "another master has more to lose"
        case .superseded: "a higher ballot is obeyed"
        case .resigned: "it resigned"
        case .handedOver: "it handed over to another device"
        }
    }
}

extension Ballot {
    fileprivate func fields(_ names: [Member]) -> [(key: String, value: LogValue)] {
        [
            ("term", .integer(Int64(clamping: term))), ("master", .text("\(node)")),
            ("masterName", .text(names.name(of: node))),
        ]
    }
}
