import LayerPlacement
import Primitives

extension PlacementMessage {
    func encode(into bytes: inout [UInt8]) {
        switch self {
        case .order(let order):
            bytes.append(MessageKind.workerOrder.rawValue)
            bytes.append(order.ballot)
            order.session.encode(into: &bytes)
            bytes.append(flag: order.serves)
        case .report(let report):
            bytes.append(MessageKind.workerReport.rawValue)
            report.session.encode(into: &bytes)
            bytes.append(report.state.rawValue)
            bytes.append(bigEndian: report.instance)
            bytes.append(report.endpoint)
            bytes.append(text: report.detail)
        case .wanted(let state):
            bytes.append(MessageKind.wanted.rawValue)
            bytes.append(flag: state.ballot != nil)
            if let ballot = state.ballot { bytes.append(ballot) }
            bytes.append(bigEndian: state.version)
            bytes.append(flag: state.model != nil)
            state.model?.encode(into: &bytes)
        case .progress(let report):
            bytes.append(MessageKind.progress.rawValue)
            report.encode(into: &bytes)
        case .transfers(let report):
            bytes.append(MessageKind.transfers.rawValue)
            report.encode(into: &bytes)
        }
    }

    init(_ kind: MessageKind, _ bytes: Span<UInt8>, _ reader: inout WireReader) throws(WireError) {
        switch kind {
        case .workerOrder:
            let ballot = try reader.ballot(bytes)
            let session = try SessionID(bytes, &reader)
            self = .order(
                WorkerOrder(
                    ballot: ballot,
                    session: session,
                    serves: try reader.flag(bytes, "serves")
                )
            )
        case .workerReport: self = .report(try WorkerReport(bytes, &reader))
        case .wanted:
            let ballot = try reader.flag(bytes, "hasBallot") ? try reader.ballot(bytes) : nil
            let version: UInt32 = try reader.integer(bytes)
            let model =
                try reader.flag(bytes, "hasModel") ? try WantedModel(bytes, &reader) : nil
            self = .wanted(WantedState(ballot: ballot, version: version, model: model))
        case .progress: self = .progress(try LaunchReport(bytes, &reader))
        case .transfers: self = .transfers(try TransferReport(bytes, &reader))
        case .ping, .ack, .pingRequest, .nack, .update, .digest, .preVoteRequest, .preVoteReply,
            .voteRequest, .voteReply, .heartbeat, .heartbeatReply, .resign, .quorumPreVoteRequest,
            .quorumVoteRequest, .quorumHeartbeat, .quorumHeartbeatReply, .configuration,
            .transferOffer, .transferAnswer, .handOver, .release, .beat, .beatObeyed,
            .beacon:
            throw .badValue(field: "kind", value: UInt64(kind.rawValue))
        }
    }
}

extension SessionID {
    func encode(into bytes: inout [UInt8]) {
        bytes.append(ballot)
        bytes.append(bigEndian: number)
    }

    init(_ bytes: Span<UInt8>, _ reader: inout WireReader) throws(WireError) {
        let ballot = try reader.ballot(bytes)
        self.init(ballot: ballot, number: try reader.integer(bytes))
    }
}

extension WorkerReport {
    init(_ bytes: Span<UInt8>, _ reader: inout WireReader) throws(WireError) {
        let session = try SessionID(bytes, &reader)
        let rawState: UInt8 = try reader.integer(bytes)
        guard let state = State(rawValue: rawState) else {
            throw .badValue(field: "state", value: UInt64(rawState))
        }
        let instance: UInt64 = try reader.integer(bytes)
        let endpoint = try reader.endpoint(bytes)
        self.init(
            session: session,
            state: state,
            instance: instance,
            endpoint: endpoint,
            detail: try reader.text(bytes, "detail", limit: Self.detailByteLimit)
        )
    }
}

extension WantedModel {
    func encode(into bytes: inout [UInt8]) {
        bytes.append(text: name)
        bytes.append(bigEndian: context)
    }

    init(_ bytes: Span<UInt8>, _ reader: inout WireReader) throws(WireError) {
        let name = try reader.text(bytes, "model", limit: Self.nameByteLimit)
        self.init(name: name, context: try reader.integer(bytes))
    }
}

extension LaunchReport {
    /// Stands for "not told".
    private static let unknownProgress = UInt16.max
    /// All of the weights, in ten-thousandths.
    private static let progressLimit: UInt16 = 10_000
    private static let unknownBytes = UInt64.max
    /// Stands for the master's own CPU.
    private static let ownDevice = UInt8.max

    func encode(into bytes: inout [UInt8]) {
        bytes.append(ballot)
        bytes.append(bigEndian: number)
        model.encode(into: &bytes)
        bytes.append(phase.rawValue)
        bytes.append(bigEndian: progress ?? Self.unknownProgress)
        bytes.append(text: message)
        bytes.append(UInt8(split.count))
        for value in split { bytes.append(bigEndian: value) }
        bytes.append(UInt8(shares.count))
        for share in shares {
            bytes.append(share.node)
            bytes.append(share.device ?? Self.ownDevice)
            bytes.append(bigEndian: share.first)
            bytes.append(bigEndian: share.end)
            bytes.append(bigEndian: share.modelBytes?.bytes ?? Self.unknownBytes)
        }
    }

    init(_ bytes: Span<UInt8>, _ reader: inout WireReader) throws(WireError) {
        let ballot = try reader.ballot(bytes)
        let number: UInt32 = try reader.integer(bytes)
        let model = try WantedModel(bytes, &reader)
        let rawPhase: UInt8 = try reader.integer(bytes)
        guard let phase = LaunchPhase(rawValue: rawPhase) else {
            throw .badValue(field: "phase", value: UInt64(rawPhase))
        }
        let progress: UInt16 = try reader.integer(bytes)
        guard progress <= Self.progressLimit || progress == Self.unknownProgress else {
            throw .badValue(field: "progress", value: UInt64(progress))
        }
        let message = try reader.text(bytes, "message", limit: Self.messageByteLimit)
        var split: [UInt32] = []
        for _ in 0..<(try Self.count(bytes, &reader, "split")) {
            split.append(try reader.integer(bytes))
        }
        var shares: [DeviceShare] = []
        for _ in 0..<(try Self.count(bytes, &reader, "shares")) {
            shares.append(try Self.share(bytes, &reader))
        }
        self.init(
            ballot: ballot,
            number: number,
            model: model,
            phase: phase,
            progress: progress == Self.unknownProgress ? nil : progress,
            message: message,
            split: split,
            shares: shares
        )
    }

    private static func count(
        _ bytes: Span<UInt8>,
        _ reader: inout WireReader,
        _ field: String
    ) throws(WireError) -> Int {
        let count = Int(try reader.integer(bytes, UInt8.self))
        guard count <= shareLimit else {
            throw .tooMany(field: field, count: count, limit: shareLimit)
        }
        return count
    }

    private static func share(
        _ bytes: Span<UInt8>,
        _ reader: inout WireReader
    ) throws(WireError) -> DeviceShare {
        let node = try reader.node(bytes)
        let device: UInt8 = try reader.integer(bytes)
        let first: UInt16 = try reader.integer(bytes)
        let end: UInt16 = try reader.integer(bytes)
        guard first <= end else { throw .badValue(field: "end", value: UInt64(end)) }
        let modelBytes: UInt64 = try reader.integer(bytes)
        return DeviceShare(
            node: node,
            device: device == ownDevice ? nil : device,
            first: first,
            end: end,
            modelBytes: modelBytes == unknownBytes ? nil : ByteCount(modelBytes)
        )
    }
}
