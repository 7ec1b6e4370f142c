import LayerPlacement
import Primitives
import SWIM
import Supervision

// How events read in logs. Where the reference document has words for an event, these are they.

extension SWIMEvent {
    /// Nil for events that are only passed on.
    var record: LogRecord? {
        switch self {
        case .joined(let member):
            LogRecord(
                "membership.joined",
                .info,
                "\(member.facts.name) joined at \(member.endpoint)",
                member.fields
            )
        case .suspected(let member, let accuser):
            LogRecord(
                "membership.suspected",
                .notice,
                "\(member.facts.name) does not answer; it has some seconds to object",
                member.fields.adding("accuser", .text("\(accuser)"))
            )
        case .recovered(let member):
            LogRecord(
                "membership.recovered",
                .info,
                "\(member.facts.name) is well after all",
                member.fields
            )
        case .died(let member, let accuser):
            LogRecord(
                "membership.died",
                .warning,
                "\(member.facts.name) is dead",
                member.fields.adding("accuser", .text("\(accuser)"))
            )
        case .departed(let member):
            LogRecord("membership.left", .info, "\(member.facts.name) left", member.fields)
        case .factsChanged: nil
        case .refuted(let incarnation):
            LogRecord(
                "membership.refuted",
                .notice,
                "Somebody took this agent for dead; it said otherwise",
                ["incarnation": .integer(Int64(clamping: incarnation))]
            )
        case .forgotten(let id):
            LogRecord(
                "membership.forgotten",
                .debug,
                "A member that was dead or gone for long is forgotten",
                ["node": .text("\(id)")]
            )
        case .duplicateIdentity(let endpoint):
            LogRecord(
                "membership.duplicateIdentity",
                .error,
                "An agent at \(endpoint) uses this agent's identity: was its state folder copied? "
                    + "Give each agent its own --state folder.",
                ["endpoint": .text("\(endpoint)")]
            )
        case .goodbyeSpread:
            LogRecord("membership.goodbye", .info, "Said goodbye to the cluster")
        }
    }
}

extension SWIMEvent {
    /// For whom the words of what comes by the thousand are nothing.
    var bareRecord: LogRecord? {
        switch self {
        case .joined: LogRecord("membership.joined", .info, "")
        case .suspected: LogRecord("membership.suspected", .notice, "")
        case .recovered: LogRecord("membership.recovered", .info, "")
        case .died, .departed, .factsChanged, .refuted, .forgotten, .duplicateIdentity,
            .goodbyeSpread:
            record
        }
    }
}

extension Member {
    fileprivate var fields: [(key: String, value: LogValue)] {
        [
            ("node", .text("\(id)")), ("name", .text(facts.name)),
            ("address", .text("\(endpoint)")),
            ("incarnation", .integer(Int64(clamping: incarnation))),
        ]
    }
}

extension [(key: String, value: LogValue)] {
    func adding(_ key: String, _ value: LogValue) -> Self {
        self + [(key, value)]
    }
}

extension LogRecord {
    init(
        _ id: String,
        _ level: LogLevel,
        _ message: String,
        _ fields: [(key: String, value: LogValue)]
    ) {
        self.init(id, level, message)
        self.fields = fields
    }
}

extension [Member] {
    func name(of node: NodeID) -> String {
        first { $0.id == node }?.facts.name ?? node.short
    }
}

extension WorkerEvent {
    var record: LogRecord {
        switch self {
        case .begins(let session):
            LogRecord(
                "worker.session.begins",
                .info,
                "Working for the master's session",
                [
                    "term": .integer(Int64(clamping: session.ballot.term)),
                    "session": .integer(Int64(session.number)),
                ]
            )
        case .ends(let session, let reason):
            LogRecord(
                "worker.session.ends",
                .info,
                "The session ended: \(reason)",
                ["session": .integer(Int64(session.number)), "reason": .text(reason)]
            )
        }
    }
}

extension ChildEvent {
    /// Nil for what the placement tells in other words.
    func records(
        kind: Supervisor.Kind,
        spec: ChildSpec,
        ports: Supervisor.ServerEndpoints
    ) -> [LogRecord] {
        guard let first = record(kind: kind, spec: spec, ports: ports) else { return [] }
        guard kind == .rpc, self == .ready else { return [first] }
        return [
            first,
            LogRecord(
                "worker.rpc.external",
                .info,
                ports.rpcExternal.port == 0
                    ? "External IPs for RPC: none, the master comes through this agent"
                    : "External IPs for RPC: \(ports.rpcExternal)",
                ["endpoint": .text("\(ports.rpcExternal)")]
            ),
        ]
    }

    private func record(
        kind: Supervisor.Kind,
        spec: ChildSpec,
        ports: Supervisor.ServerEndpoints
    ) -> LogRecord? {
        let id = kind == .rpc ? "worker.rpc" : "placement.server"
        switch self {
        case .started(let pid):
            return LogRecord(
                "\(id).started",
                .debug,
                "\(spec.name) runs",
                ["pid": .integer(Int64(pid))]
            )
        case .ready:
            guard kind == .rpc else { return nil }
            return LogRecord(
                "worker.rpc.ready",
                .info,
                "rpc-server started successfully on \(ports.rpc)",
                ["endpoint": .text("\(ports.rpc)")]
            )
        case .restarting(let end, let delay):
            return LogRecord(
                "\(id).restarting",
                .warning,
                "\(spec.name) ended (\(end.text)); starting it again in \(delay)",
                ["end": .text(end.text), "delayMilliseconds": .integer(delay.wholeMilliseconds)]
            )
        case .ended(let end):
            return LogRecord(
                "\(id).ended",
                .warning,
                "\(spec.name) ended (\(end.text))",
                ["end": .text(end.text)]
            )
        case .gaveUp(let reason):
            return LogRecord(
                "\(id).gaveUp",
                .error,
                "\(spec.name) was given up: \(reason)",
                ["reason": .text(reason)]
            )
        case .stopped: return LogRecord("\(id).stopped", .info, "\(spec.name) stopped")
        }
    }
}
