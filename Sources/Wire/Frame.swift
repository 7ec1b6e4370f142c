package import Primitives
package import SWIM

/// What travels on a stream between agents, after the header (Protocols/frame.md).
package enum Frame: Equatable, Sendable {
    /// No frame is longer, length prefix excluded.
    package static let byteLimit = 1 << 19
    /// How many updates a frame tells at most; further ones are left out.
    package static let updateLimit = 1024

    /// Everything the sender believes; answered by `syncReply`.
    case syncRequest([MemberUpdate])
    case syncReply([MemberUpdate])
    /// A probe for networks that drop datagrams; answered by `ack` if `target` is met.
    case ping(number: UInt32, target: NodeID)
    case ack(number: UInt32)
    /// Asks for a stream to a local server of the receiver. After `serviceOpened` the stream
    /// carries that server's bytes and no more frames.
    case openService(Service, ballot: Ballot?)
    case serviceOpened
    case serviceRefused(reason: String)
    /// Asks the receiver to keep the stream open and idle, so that each side's system tells the
    /// other when its process dies; answered by `watching` if `target` is met.
    case watch(target: NodeID)
    case watching
    /// What the sender can do on the stream to a service: before `openService` what the client
    /// offers, before `serviceOpened` what the member takes of it.
    case serviceFeatures(ServiceFeatures)
    /// Asks the receiver, on an idle stream, to open a stream to the sender and to say
    /// `dialledBack` on it: the sender cannot open one itself.
    case dialBack(number: UInt64)
    /// The stream that was asked for; from here on as if the receiver had opened it.
    case dialledBack(number: UInt64)
}

/// A local server of a member that other members may reach through its agent.
package enum Service: UInt8, Sendable, CaseIterable {
    /// llama-server's HTTP port, on the master.
    case llamaServer = 1
    /// The agent's own HTTP gateway.
    case gateway = 2
    /// The RPC server, on a worker.
    case rpcServer = 3
}

private enum FrameKind: UInt8 {
    case syncRequest = 1
    case syncReply = 2
    case ping = 3
    case ack = 4
    case openService = 5
    case serviceOpened = 6
    case serviceRefused = 7
    case watch = 8
    case watching = 9
    case serviceFeatures = 10
    case dialBack = 11
    case dialledBack = 12
}

extension Frame {
    /// The frame with its length prefix.
    package var encoded: [UInt8] {
        var body: [UInt8] = []
        switch self {
        case .syncRequest(let updates): Self.append(.syncRequest, updates, to: &body)
        case .syncReply(let updates): Self.append(.syncReply, updates, to: &body)
        case .ping(let number, let target):
            body.append(FrameKind.ping.rawValue)
            body.append(bigEndian: number)
            body.append(target)
        case .ack(let number):
            body.append(FrameKind.ack.rawValue)
            body.append(bigEndian: number)
        case .openService(let service, let ballot):
            body.append(FrameKind.openService.rawValue)
            body.append(service.rawValue)
            body.append(flag: ballot != nil)
            if let ballot { body.append(ballot) }
        case .serviceOpened: body.append(FrameKind.serviceOpened.rawValue)
        case .serviceRefused(let reason):
            body.append(FrameKind.serviceRefused.rawValue)
            body.append(text: reason)
        case .watch(let target):
            body.append(FrameKind.watch.rawValue)
            body.append(target)
        case .watching: body.append(FrameKind.watching.rawValue)
        case .serviceFeatures(let features):
            body.append(FrameKind.serviceFeatures.rawValue)
            body.append(bigEndian: features.rawValue)
        case .dialBack(let number):
            body.append(FrameKind.dialBack.rawValue)
            body.append(bigEndian: number)
        case .dialledBack(let number):
            body.append(FrameKind.dialledBack.rawValue)
            body.append(bigEndian: number)
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(4 + body.count)
        bytes.append(bigEndian: UInt32(body.count))
        return bytes + body
    }

    private static func append(
        _ kind: FrameKind,
        _ updates: [MemberUpdate],
        to body: inout [UInt8]
    ) {
        body.append(kind.rawValue)
        let updates = updates.prefix(updateLimit)
        body.append(bigEndian: UInt16(updates.count))
        for update in updates { update.encode(into: &body) }
    }

    /// Reads the body of a frame; nil if the kind is none that this version knows.
    package init?(
        decoding bytes: Span<UInt8>,
        facts: FactsCache? = nil
    ) throws(WireError) {
        var reader = WireReader(offset: 0, facts: facts)
        guard let kind = FrameKind(rawValue: try reader.integer(bytes)) else { return nil }
        switch kind {
        case .syncRequest: self = .syncRequest(try Self.updates(bytes, &reader))
        case .syncReply: self = .syncReply(try Self.updates(bytes, &reader))
        case .ping:
            let number: UInt32 = try reader.integer(bytes)
            self = .ping(number: number, target: try reader.node(bytes))
        case .ack: self = .ack(number: try reader.integer(bytes))
        case .openService:
            let rawService: UInt8 = try reader.integer(bytes)
            guard let service = Service(rawValue: rawService) else {
                throw .badValue(field: "service", value: UInt64(rawService))
            }
            let hasBallot = try reader.flag(bytes, "hasBallot")
            self = .openService(service, ballot: hasBallot ? try reader.ballot(bytes) : nil)
        case .serviceOpened: self = .serviceOpened
        case .serviceRefused: self = .serviceRefused(reason: try reader.text(bytes, "reason"))
        case .watch: self = .watch(target: try reader.node(bytes))
        case .watching: self = .watching
        case .serviceFeatures:
            self = .serviceFeatures(ServiceFeatures(rawValue: try reader.integer(bytes)))
        case .dialBack: self = .dialBack(number: try reader.integer(bytes))
        case .dialledBack: self = .dialledBack(number: try reader.integer(bytes))
        }
        try reader.finish(bytes)
    }

    private static func updates(
        _ bytes: Span<UInt8>,
        _ reader: inout WireReader
    ) throws(WireError) -> [MemberUpdate] {
        let count = Int(try reader.integer(bytes, UInt16.self))
        guard count <= updateLimit else {
            throw .tooMany(field: "updates", count: count, limit: updateLimit)
        }
        var updates: [MemberUpdate] = []
        for _ in 0..<count { updates.append(try MemberUpdate(bytes, &reader)) }
        return updates
    }
}
