package import Primitives

/// Seals datagrams: a handshake with each device that this one sends to, then sealed messages in
/// either direction, each opened at most once.
///
/// A state machine without sockets and clocks. What it wants sent besides is put into `outbox`,
/// and must be sent after each call. A session is agreed on by both sides with fresh keys, so that
/// nothing recorded before either of them was started opens, and nothing that was meant for
/// another device; the ledger of hellos keeps the beginning of a handshake from being answered
/// twice.
package struct DatagramSessions: Sendable {
    /// The use that handshakes name.
    static let use = "datagrams"
    /// What a sealed message has around it.
    package static let messageOverhead = 16 + NoiseCipher.tagByteCount
    package static let sessionLimit = 4096
    static let sessionsOfDeviceLimit = 4
    static let halfOpenLimit = 256
    static let halfOpenTimeLimit: Duration = .seconds(5)
    static let pathLimit = 4096
    /// Messages that wait for a handshake; the oldest give way.
    static let waitingLimit = 8
    /// After so long a session is agreed on anew.
    static let sessionAgeLimit: Duration = .seconds(3600)
    /// When a peer has been silent for so long, and after so many messages, it may have forgotten
    /// the session.
    ///
    /// One message alone may be the last word of a talk, which nobody answers.
    static let silenceLimit: Duration = .milliseconds(1500)
    static let unansweredLimit = 3
    static let firstRetry: Duration = .milliseconds(200)
    static let retryLimit = 6
    static let pauseLimit: Duration = .seconds(10)
    /// An address that was not used for so long is forgotten.
    static let pathTimeLimit: Duration = .seconds(600)

    struct Session: Sendable {
        let node: NodeID
        let peerIndex: UInt32
        let endpoint: Endpoint
        let keyID: UInt32
        let began: Instant
        var sending: NoiseCipher
        let receiving: NoiseCipher
        var window = ReplayWindow()
        /// The last message of our handshake, until the peer is known to have it.
        var finish: [UInt8]?
        /// When we first sent something since the peer was last heard, and how much since.
        var silentSince: Instant?
        var unansweredCount = 0
    }

    struct Handshake: Sendable {
        let endpoint: Endpoint
        let keyID: UInt32
        var noise: NoiseHandshake
        let hello: [UInt8]
        var tries = 1
        var nextTry: Instant
    }

    struct HalfOpen: Sendable {
        /// Who it says that it is.
        let sender: NodeID
        /// What was read; only the very same is answered again.
        let question: [UInt8]
        let keyID: UInt32
        let peerIndex: UInt32
        var noise: NoiseHandshake
        let reply: [UInt8]
        let began: Instant
    }

    /// How an address is reached.
    struct Path: Sendable {
        var session: UInt32?
        var handshake: UInt32?
        var waiting: [[UInt8]] = []
        var pausedUntil: Instant?
        var failures = 0
        var isStale = false
        var lastUsed: Instant
    }

    let identity: DeviceIdentity
    private(set) var keys: CurrentKeys
    var sessions: [UInt32: Session] = [:]
    /// By device, the oldest first.
    var ofDevice: [NodeID: [UInt32]] = [:]
    var handshakes: [UInt32: Handshake] = [:]
    var halfOpen: [UInt32: HalfOpen] = [:]
    /// In the order in which they began.
    var halfOpenOrder: [UInt32] = []
    var paths: [Endpoint: Path] = [:]
    package var hellos: HelloLedger
    /// What to send, and where.
    package var outbox: [(bytes: [UInt8], endpoint: Endpoint)] = []

    package init(identity: DeviceIdentity, keys: CurrentKeys, hellos: HelloLedger) {
        self.identity = identity
        self.keys = keys
        self.hellos = hellos
    }

    package var sessionCount: Int { sessions.count }
    package var halfOpenCount: Int { halfOpen.count }

    /// Whether `retry` should be called now and then.
    package var isWaiting: Bool { !handshakes.isEmpty || !halfOpen.isEmpty }

    /// Takes other keys into use; sessions under keys that open no more, and those of devices that
    /// were removed, end at once.
    package mutating func use(_ keys: CurrentKeys) {
        self.keys = keys
        let ids = keys.opening.map(\.id)
        for index in sessions.keys.sorted() {
            guard let session = sessions[index],
                !ids.contains(session.keyID) || keys.removed.contains(session.node)
                    || !keys.isOpen(session.keyID, to: session.node)
            else { continue }
            forget(index)
        }
        halfOpen = halfOpen.filter { ids.contains($0.value.keyID) }
        halfOpenOrder.removeAll { halfOpen[$0] == nil }
    }

    // MARK: - Sending

    /// Seals a message for the device at an address; false if it waits for a handshake, or is
    /// dropped because the device does not answer any.
    package mutating func seal(
        _ message: [UInt8],
        to endpoint: Endpoint,
        at now: Instant,
        into bytes: inout [UInt8]
    ) -> Bool {
        prune(at: now)
        var path = paths[endpoint] ?? Path(lastUsed: now)
        path.lastUsed = now
        guard let index = path.session, var session = sessions[index] else {
            if path.waiting.count == Self.waitingLimit { path.waiting.removeFirst() }
            path.waiting.append(message)
            begin(endpoint, &path, at: now)
            if path.handshake == nil { path.waiting = [] }
            paths[endpoint] = path
            return false
        }
        let silence = session.silentSince.map { now - $0 } ?? .zero
        let isSilent =
            silence > Self.silenceLimit && session.unansweredCount >= Self.unansweredLimit
        if isSilent || path.isStale || now - session.began > Self.sessionAgeLimit {
            begin(endpoint, &path, at: now)
        }
        if let finish = session.finish, now - session.began >= Self.firstRetry {
            outbox.append((finish, endpoint))
        }
        if session.silentSince == nil { session.silentSince = now }
        session.unansweredCount += 1
        let isSealed = Self.seal(message, with: &session, into: &bytes)
        sessions[index] = session
        paths[endpoint] = path
        return isSealed
    }

    private static func seal(
        _ message: [UInt8],
        with session: inout Session,
        into bytes: inout [UInt8]
    ) -> Bool {
        bytes.removeAll(keepingCapacity: true)
        bytes += SealedHeader.bytes(Kind.data.rawValue, session.peerIndex)
        bytes.append(bigEndian: session.sending.counter)
        let header = bytes[...]
        do throws(SecureChannelError) {
            try session.sending.seal(message[...], with: header, into: &bytes)
            return true
        } catch {
            return false
        }
    }

    private mutating func begin(_ endpoint: Endpoint, _ path: inout Path, at now: Instant) {
        guard path.handshake == nil, path.pausedUntil.map({ now >= $0 }) ?? true else { return }
        let index = freeIndex()
        var noise = NoiseHandshake.ours(
            .initiator,
            Self.use,
            suite: .chaChaPoly,
            key: keys.sealing,
            identity: identity
        )
        var payload: [UInt8] = []
        payload.append(bigEndian: index)
        payload += hellos.greeting(to: endpoint)
        guard let message = try? noise.write(payload) else { return }
        let hello = SealedHeader.bytes(Kind.hello.rawValue, keys.sealing.id) + message
        handshakes[index] = Handshake(
            endpoint: endpoint,
            keyID: keys.sealing.id,
            noise: noise,
            hello: hello,
            nextTry: now + Self.firstRetry
        )
        path.handshake = index
        outbox.append((hello, endpoint))
    }

    /// Repeats what was not answered; called every 100 ms or so while `isWaiting`.
    package mutating func retry(at now: Instant) {
        for index in handshakes.keys.sorted() {
            guard var handshake = handshakes[index], now >= handshake.nextTry else { continue }
            guard handshake.tries < Self.retryLimit else {
                giveUp(index, handshake.endpoint, at: now)
                continue
            }
            outbox.append((handshake.hello, handshake.endpoint))
            handshake.nextTry = now + min(Self.firstRetry * (1 << handshake.tries), .seconds(1))
            handshake.tries += 1
            handshakes[index] = handshake
        }
        while let oldest = halfOpenOrder.first {
            if let half = halfOpen[oldest], now - half.began < Self.halfOpenTimeLimit { break }
            halfOpenOrder.removeFirst()
            halfOpen[oldest] = nil
        }
    }

    private mutating func giveUp(_ index: UInt32, _ endpoint: Endpoint, at now: Instant) {
        handshakes[index] = nil
        guard var path = paths[endpoint] else { return }
        path.handshake = nil
        path.waiting = []
        path.pausedUntil = now + min(.seconds(1) * (1 << min(path.failures, 4)), Self.pauseLimit)
        path.failures += 1
        paths[endpoint] = path
    }

    // MARK: - Bounds

    private mutating func prune(at now: Instant) {
        guard paths.count >= Self.pathLimit else { return }
        paths = paths.filter { now - $0.value.lastUsed < Self.pathTimeLimit }
        guard paths.count >= Self.pathLimit,
            let oldest = paths.min(by: { $0.value.lastUsed < $1.value.lastUsed })
        else { return }
        if let handshake = oldest.value.handshake { handshakes[handshake] = nil }
        paths[oldest.key] = nil
    }

    func freeIndex() -> UInt32 {
        var generator = SystemRandomNumberGenerator()
        while true {
            let index = UInt32.random(in: 1 ... .max, using: &generator)
            if sessions[index] == nil, handshakes[index] == nil, halfOpen[index] == nil {
                return index
            }
        }
    }

    mutating func forget(_ index: UInt32) {
        guard let session = sessions.removeValue(forKey: index) else { return }
        ofDevice[session.node]?.removeAll { $0 == index }
        if ofDevice[session.node]?.isEmpty == true { ofDevice[session.node] = nil }
        if paths[session.endpoint]?.session == index { paths[session.endpoint]?.session = nil }
    }
}

extension DatagramSessions {
    enum Kind: UInt8 {
        case hello = 1
        case reply = 2
        case finish = 3
        case data = 4
        case beacon = 5
    }
}
