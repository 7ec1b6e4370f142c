import LayerPlacement
import LeaderElection
import Primitives
import SWIM
import Wire

indirect enum JSONValue: Decodable, Sendable {
    case object([String: JSONValue])
    case array([JSONValue])
    case text(String)
    case integer(UInt64)
    case flag(Bool)
    case null

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let flag = try? container.decode(Bool.self) {
            self = .flag(flag)
        } else if let integer = try? container.decode(UInt64.self) {
            self = .integer(integer)
        } else if let text = try? container.decode(String.self) {
            self = .text(text)
        } else if let array = try? container.decode([JSONValue].self) {
            self = .array(array)
        } else {
            self = .object(try container.decode([String: JSONValue].self))
        }
    }
}

/// The decoded fields of a vector, by name; a missing one, or one of another type, is an error.
struct Fields: Sendable {
    private let values: [String: JSONValue]

    init(_ value: JSONValue) throws {
        guard case .object(let values) = value else { throw BadVector(reason: "no object") }
        self.values = values
    }

    func integer<Value: FixedWidthInteger>(_ name: String) throws -> Value {
        try Self.integer(value(name), name)
    }

    func optionalInteger<Value: FixedWidthInteger>(_ name: String) throws -> Value? {
        if case .null = try value(name) { return nil }
        return try integer(name)
    }

    func text(_ name: String) throws -> String {
        guard case .text(let text) = try value(name) else { throw BadVector(reason: name) }
        return text
    }

    /// Whether the field is there at all.
    func has(_ name: String) -> Bool {
        values[name] != nil
    }

    func flag(_ name: String) throws -> Bool {
        guard case .flag(let flag) = try value(name) else { throw BadVector(reason: name) }
        return flag
    }

    /// 64 bits as 16 hexadecimal digits.
    func tag(_ name: String) throws -> UInt64 {
        try Self.tag(value(name))
    }

    func tags(_ name: String) throws -> [UInt64] {
        try array(name).map(Self.tag)
    }

    func node(_ name: String) throws -> NodeID {
        guard let node = NodeID(try text(name)) else { throw BadVector(reason: name) }
        return node
    }

    func nodes(_ name: String) throws -> [NodeID] {
        try array(name).map { value in
            guard case .text(let text) = value, let node = NodeID(text) else {
                throw BadVector(reason: name)
            }
            return node
        }
    }

    func endpoint(_ name: String) throws -> Endpoint {
        guard let endpoint = Endpoint(try text(name)) else { throw BadVector(reason: name) }
        return endpoint
    }

    func integers<Value: FixedWidthInteger>(_ name: String) throws -> [Value] {
        try array(name).map { try Self.integer($0, name) }
    }

    func object(_ name: String) throws -> Fields {
        try Fields(value(name))
    }

    func optionalObject(_ name: String) throws -> Fields? {
        if case .null = try value(name) { return nil }
        return try object(name)
    }

    func objects(_ name: String) throws -> [Fields] {
        try array(name).map(Fields.init)
    }

    private func array(_ name: String) throws -> [JSONValue] {
        guard case .array(let values) = try value(name) else { throw BadVector(reason: name) }
        return values
    }

    private func value(_ name: String) throws -> JSONValue {
        guard let value = values[name] else { throw BadVector(reason: "no \(name)") }
        return value
    }

    private static func integer<Value: FixedWidthInteger>(
        _ value: JSONValue,
        _ name: String
    ) throws -> Value {
        guard case .integer(let integer) = value, let exact = Value(exactly: integer) else {
            throw BadVector(reason: name)
        }
        return exact
    }

    private static func tag(_ value: JSONValue) throws -> UInt64 {
        guard case .text(let digits) = value, digits.utf8.count == 16,
            let tag = UInt64(digits, radix: 16)
        else { throw BadVector(reason: "no tag: \(value)") }
        return tag
    }
}

extension WireHeader {
    init(_ fields: Fields) throws {
        self.init(cluster: try fields.tag("cluster"), sender: try fields.node("sender"))
    }
}

extension Ballot {
    init(_ fields: Fields) throws {
        self.init(term: try fields.integer("term"), node: try fields.node("node"))
    }
}

extension Message {
    init(_ fields: Fields) throws {
        let kind = try fields.text("kind")
        if let message = try GossipMessage(kind, fields) {
            self = .gossip(message)
        } else if let message = try ElectionMessage(kind, fields) {
            self = .election(message)
        } else if let message = try PlacementMessage(kind, fields) {
            self = .placement(message)
        } else if kind == "beacon" {
            self = .beacon(try fields.endpoint("endpoint"))
        } else {
            throw BadVector(reason: "no such kind: \(kind)")
        }
    }
}

extension GossipMessage {
    init?(_ kind: String, _ fields: Fields) throws {
        switch kind {
        case "ping":
            self = .ping(number: try fields.integer("number"), target: try fields.node("target"))
        case "ack": self = .ack(number: try fields.integer("number"))
        case "pingRequest":
            self = .pingRequest(
                number: try fields.integer("number"),
                target: try fields.node("target"),
                endpoint: try fields.endpoint("endpoint")
            )
        case "nack": self = .nack(number: try fields.integer("number"))
        case "digest": self = .digest(try fields.integer("digest"))
        case "update": self = .update(try MemberUpdate(fields.object("update")))
        default: return nil
        }
    }
}

extension MemberUpdate {
    init(_ fields: Fields) throws {
        let belief: Belief
        switch try fields.text("state") {
        case "alive":
            belief = .alive(
                endpoint: try fields.endpoint("endpoint"),
                factsVersion: try fields.integer("factsVersion"),
                facts: try DeviceFacts(fields.object("facts"))
            )
        case "suspect": belief = .suspect(accuser: try fields.node("accuser"))
        case "dead": belief = .dead(accuser: try fields.node("accuser"))
        case "left": belief = .left
        case let state: throw BadVector(reason: "no such state: \(state)")
        }
        self.init(
            id: try fields.node("id"),
            incarnation: try fields.integer("incarnation"),
            belief: belief
        )
    }
}

extension DeviceFacts {
    init(_ fields: Fields) throws {
        self.init(
            name: try fields.text("name"),
            memoryTotal: ByteCount(try fields.integer("memoryTotal")),
            memoryAvailable: ByteCount(try fields.integer("memoryAvailable")),
            httpPort: try fields.integer("httpPort"),
            rpcPort: try fields.integer("rpcPort"),
            engine: try fields.text("engine"),
            models: try fields.tags("models"),
            condition: try DeviceCondition(fields),
            policy: try fields.has("policy") ? named(fields.text("policy")) : nil,
            gaps: try fields.has("gaps") ? fields.objects("gaps").map(ReachGap.init) : [],
            vocabulary: Vocabulary(
                try fields.has("vocabulary") ? fields.integer("vocabulary") : 0
            )
        )
    }
}

extension DeviceCondition {
    init(_ fields: Fields) throws {
        self.init(
            threadCount: try fields.has("threads") ? fields.integer("threads") : 0,
            power: try PowerSource(fields),
            temperature: try fields.has("temperature") ? fields.integer("temperature") : nil,
            isThrottled: try fields.has("throttled") ? fields.flag("throttled") : false,
            uptime: UptimeStep(try fields.has("uptime") ? fields.integer("uptime") : 0),
            accelerators: try fields.has("accelerators") ? fields.text("accelerators") : "",
            rpcVersion: try fields.has("rpcVersion")
                ? ThreePartVersion(fields.text("rpcVersion")) : nil
        )
    }
}

extension ThreePartVersion {
    init(_ text: String) throws {
        let parts = text.split(separator: ".").compactMap { UInt8($0) }
        guard parts.count == 3 else { throw BadVector(reason: "no version: \(text)") }
        self.init(parts[0], parts[1], parts[2])
    }
}

extension PowerSource {
    init(_ fields: Fields) throws {
        guard fields.has("power") else {
            self = .unknown
            return
        }
        if (try? fields.text("power")) == "mains" {
            self = .mains
            return
        }
        let power = try fields.object("power")
        self =
            try power.has("battery")
            ? .battery(power.integer("battery")) : .charging(power.integer("charging"))
    }
}

extension ReachGap {
    init(_ fields: Fields) throws {
        guard let tag = UInt32(try fields.text("tag"), radix: 16) else {
            throw BadVector(reason: "tag")
        }
        self.init(tag: tag, failures: Failures(rawValue: try fields.integer("failures")))
    }
}

extension Frame {
    init(_ fields: Fields) throws {
        switch try fields.text("kind") {
        case "syncRequest":
            self = .syncRequest(try fields.objects("updates").map(MemberUpdate.init))
        case "syncReply": self = .syncReply(try fields.objects("updates").map(MemberUpdate.init))
        case "ping":
            self = .ping(number: try fields.integer("number"), target: try fields.node("target"))
        case "ack": self = .ack(number: try fields.integer("number"))
        case "watch": self = .watch(target: try fields.node("target"))
        case "watching": self = .watching
        case "openService":
            self = .openService(
                try named(fields.text("service")),
                ballot: try fields.optionalObject("ballot").map(Ballot.init)
            )
        case "serviceOpened": self = .serviceOpened
        case "serviceFeatures":
            self = .serviceFeatures(ServiceFeatures(rawValue: try fields.integer("features")))
        case "dialBack": self = .dialBack(number: try fields.integer("number"))
        case "dialledBack": self = .dialledBack(number: try fields.integer("number"))
        case "serviceRefused": self = .serviceRefused(reason: try fields.text("reason"))
        case let kind: throw BadVector(reason: "no such kind: \(kind)")
        }
    }
}

/// The case of an enumeration by its name.
func named<Value: CaseIterable>(_ name: String) throws -> Value {
    guard let value = Value.allCases.first(where: { "\($0)" == name }) else {
        throw BadVector(reason: "no such value: \(name)")
    }
    return value
}
