package import Primitives

/// What a sealed stream is for.
package enum StreamPurpose: UInt8, Sendable, CaseIterable {
    /// Frames between agents, and then perhaps the bytes of a service.
    case frames = 1
    /// A newer key ring is handed on.
    case keys = 2
}

/// Seals a stream: a handshake, then records (Protocols/secure-channel.md).
///
/// A state machine without a socket: what comes in goes to `receive`, what must go out is appended
/// to what the caller sends.
package struct StreamSeal: Sendable {
    static let use = "streams"
    /// The largest handshake message that is waited for.
    package static let handshakeByteLimit = 256

    package enum Event: Equatable, Sendable {
        /// The handshake is done: who is at the other end, and what the stream is for.
        case established(NodeID, StreamPurpose)
        case received([UInt8])
        /// The other side has sent all.
        case ended
    }

    private enum State: Sendable {
        case waitsForHello
        case waitsForReply(NoiseHandshake, StreamPurpose)
        case waitsForFinish(NoiseHandshake, StreamPurpose, NodeID)
        case open(RecordLayer)
        case failed
    }

    private let identity: DeviceIdentity
    private let keys: CurrentKeys
    private var state: State
    private var unread: [UInt8] = []
    /// Which key the handshake used.
    private(set) var keyID: UInt32?

    /// The side that connects to an endpoint; `hello` is what it sends first.
    package static func connecting(
        to target: Endpoint,
        for purpose: StreamPurpose,
        suite: NoiseSuite,
        identity: DeviceIdentity,
        keys: CurrentKeys,
        hellos: inout HelloLedger
    ) throws(SecureChannelError) -> (seal: StreamSeal, hello: [UInt8]) {
        var noise = NoiseHandshake.ours(
            .initiator,
            use,
            suite: suite,
            key: keys.sealing,
            identity: identity
        )
        let message = try noise.write([purpose.rawValue] + hellos.greeting(to: target))
        var seal = StreamSeal(identity, keys, .waitsForReply(noise, purpose))
        seal.keyID = keys.sealing.id
        var hello = SealedHeader.bytes(suite.rawValue, keys.sealing.id)
        append(message, to: &hello)
        return (seal, hello)
    }

    /// The side that was connected to.
    package init(accepting identity: DeviceIdentity, keys: CurrentKeys) {
        self.init(identity, keys, .waitsForHello)
    }

    private init(_ identity: DeviceIdentity, _ keys: CurrentKeys, _ state: State) {
        self.identity = identity
        self.keys = keys
        self.state = state
    }

    package var isOpen: Bool {
        if case .open = state { return true }
        return false
    }

    /// Takes what arrived.
    ///
    /// After an error the stream is closed without a word.
    package mutating func receive(
        _ bytes: [UInt8],
        hellos: inout HelloLedger,
        answer: inout [UInt8],
        events: inout [Event]
    ) throws(SecureChannelError) {
        do throws(SecureChannelError) {
            if case .open(var records) = state {
                state = .failed
                try Self.read(bytes, &records, &events)
                state = .open(records)
                return
            }
            unread += bytes
            while try step(&hellos, &answer, &events) {}
        } catch {
            state = .failed
            unread = []
            throw error
        }
    }

    /// Appends the sealed bytes; nothing before the handshake is done.
    package mutating func seal(
        _ bytes: [UInt8],
        into sealed: inout [UInt8]
    ) throws(SecureChannelError) {
        guard case .open(var records) = state else { throw .outOfOrder }
        try records.seal(bytes[...], into: &sealed)
        state = .open(records)
    }

    /// Appends the mark that this side has sent all.
    package mutating func end(into sealed: inout [UInt8]) {
        guard case .open(var records) = state else { return }
        try? records.end(into: &sealed)
        state = .open(records)
    }

    /// The keys, for whoever carries the bytes of a service from here on.
    package mutating func takeRecords() -> RecordLayer? {
        guard case .open(let records) = state else { return nil }
        state = .failed
        return records
    }

    // MARK: - The handshake

    /// Whether a step was done and another may follow.
    private mutating func step(
        _ hellos: inout HelloLedger,
        _ answer: inout [UInt8],
        _ events: inout [Event]
    ) throws(SecureChannelError) -> Bool {
        switch state {
        case .waitsForHello: return try readHello(&hellos, &answer)
        case .waitsForReply(var noise, let purpose):
            guard let message = try Self.takeMessage(&unread, after: 0) else { return false }
            let payload = try noise.read(message[...])
            guard payload.isEmpty else { throw .tooLong(byteCount: payload.count, limit: 0) }
            Self.append(try noise.write(), to: &answer)
            try open(noise, purpose, of: nil, &events)
            return false
        case .waitsForFinish(var noise, let purpose, let sender):
            guard let message = try Self.takeMessage(&unread, after: 0) else { return false }
            let payload = try noise.read(message[...])
            guard payload.isEmpty else { throw .tooLong(byteCount: payload.count, limit: 0) }
            try open(noise, purpose, of: sender, &events)
            return false
        case .open, .failed: return false
        }
    }

    private mutating func readHello(
        _ hellos: inout HelloLedger,
        _ answer: inout [UInt8]
    ) throws(SecureChannelError) -> Bool {
        let rawSuite: UInt8
        let id: UInt32
        do throws(SecureChannelError) {
            (rawSuite, id) = try SealedHeader.read(unread[...])
        } catch {
            if case .truncated = error { return false }
            throw error
        }
        guard let suite = NoiseSuite(rawValue: rawSuite) else {
            throw .badValue(field: "suite", value: UInt64(rawSuite))
        }
        let key = try keys.key(id)
        guard let message = try Self.takeMessage(&unread, after: SealedHeader.byteCount) else {
            return false
        }
        var noise = NoiseHandshake.ours(
            .responder,
            Self.use,
            suite: suite,
            key: key,
            identity: identity
        )
        let payload = try noise.read(message[...])
        guard let first = payload.first else { throw .truncated(needed: 1, available: 0) }
        guard let purpose = StreamPurpose(rawValue: first) else {
            throw .badValue(field: "purpose", value: UInt64(first))
        }
        let sender = try hellos.take(payload.dropFirst(), keys, under: id)
        keyID = id
        Self.append(try noise.write(), to: &answer)
        state = .waitsForFinish(noise, purpose, sender)
        return true
    }

    private mutating func open(
        _ noise: NoiseHandshake,
        _ purpose: StreamPurpose,
        of sender: NodeID?,
        _ events: inout [Event]
    ) throws(SecureChannelError) {
        let channel = try noise.finish()
        let node = try keys.admit(channel.remote, under: keyID ?? keys.sealing.id)
        guard node == sender ?? node else { throw .otherSender }
        events.append(.established(node, purpose))
        var records = RecordLayer(channel)
        let rest = unread
        unread = []
        try Self.read(rest, &records, &events)
        state = .open(records)
    }

    private static func read(
        _ bytes: [UInt8],
        _ records: inout RecordLayer,
        _ events: inout [Event]
    ) throws(SecureChannelError) {
        var plain: [UInt8] = []
        try records.receive(bytes[...], into: &plain)
        if !plain.isEmpty { events.append(.received(plain)) }
        if records.hasEnded { events.append(.ended) }
    }

    private static func append(_ message: [UInt8], to bytes: inout [UInt8]) {
        bytes.append(bigEndian: UInt16(message.count))
        bytes += message
    }

    /// Takes a handshake message off what was read, with what is before it; nil while it is not
    /// whole.
    private static func takeMessage(
        _ bytes: inout [UInt8],
        after start: Int
    ) throws(SecureChannelError) -> [UInt8]? {
        guard bytes.count >= start + 2 else { return nil }
        let count = Int(bytes[start]) << 8 | Int(bytes[start + 1])
        guard count <= handshakeByteLimit else {
            throw .tooLong(byteCount: count, limit: handshakeByteLimit)
        }
        guard bytes.count >= start + 2 + count else { return nil }
        defer { bytes.removeFirst(start + 2 + count) }
        return Array(bytes[(start + 2)..<(start + 2 + count)])
    }
}
