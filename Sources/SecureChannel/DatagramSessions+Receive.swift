package import Primitives

// What arrives: messages, and the three steps of a handshake.
extension DatagramSessions {
    /// Opens a datagram, appends the message that it carries and gives its sender; nil if it was
    /// a step of a handshake.
    ///
    /// What is refused changes nothing and is not answered.
    package mutating func open(
        _ datagram: [UInt8],
        from source: Endpoint,
        at now: Instant,
        into message: inout [UInt8]
    ) throws(SecureChannelError) -> NodeID? {
        let (rawKind, word) = try SealedHeader.read(datagram[...])
        let rest = datagram[SealedHeader.byteCount...]
        switch Kind(rawValue: rawKind) {
        case .data:
            return try openData(datagram[...], rest, session: word, at: now, into: &message)
        case .hello: try greeted(rest, key: word, from: source, at: now)
        case .reply: try answered(rest, handshake: word, at: now)
        case .finish: try finished(rest, halfOpen: word, from: source, at: now)
        case .beacon, nil: throw .badValue(field: "kind", value: UInt64(rawKind))
        }
        return nil
    }

    private mutating func openData(
        _ datagram: ArraySlice<UInt8>,
        _ rest: ArraySlice<UInt8>,
        session index: UInt32,
        at now: Instant,
        into message: inout [UInt8]
    ) throws(SecureChannelError) -> NodeID {
        guard let session = sessions[index] else { throw .unknownSession(index) }
        guard rest.count >= 8 else { throw .truncated(needed: 8, available: rest.count) }
        let place: UInt64 = SealedHeader.integer(rest.prefix(8))
        guard session.window.permits(place) else { throw .replayed }
        try session.receiving.open(
            rest.dropFirst(8),
            with: datagram.prefix(Self.messageOverhead - NoiseCipher.tagByteCount),
            at: place,
            into: &message
        )
        sessions[index]?.window.take(place)
        sessions[index]?.finish = nil
        sessions[index]?.silentSince = nil
        sessions[index]?.unansweredCount = 0
        return session.node
    }

    // MARK: - Answering handshakes

    private mutating func greeted(
        _ message: ArraySlice<UInt8>,
        key id: UInt32,
        from source: Endpoint,
        at now: Instant
    ) throws(SecureChannelError) {
        let key = try keys.key(id)
        let question = Array(message)
        let known = halfOpenOrder.last { halfOpen[$0]?.question == question }
        if let known, let half = halfOpen[known] {
            // The answer was lost, and the question comes again.
            outbox.append((half.reply, source))
            return
        }
        var noise = NoiseHandshake.ours(
            .responder,
            Self.use,
            suite: .chaChaPoly,
            key: key,
            identity: identity
        )
        let payload = try noise.read(message)
        guard payload.count >= 4 else { throw .truncated(needed: 4, available: payload.count) }
        // Only now: whoever has no key must not fill the ledger.
        let sender = try hellos.take(payload.dropFirst(4), keys, under: id)
        let index = freeIndex()
        var answer: [UInt8] = []
        answer.append(bigEndian: index)
        let peerIndex: UInt32 = SealedHeader.integer(payload.prefix(4))
        let reply = SealedHeader.bytes(Kind.reply.rawValue, peerIndex) + (try noise.write(answer))
        if halfOpen.count >= Self.halfOpenLimit {
            halfOpen[halfOpenOrder.removeFirst()] = nil
        }
        halfOpen[index] = HalfOpen(
            sender: sender,
            question: question,
            keyID: id,
            peerIndex: peerIndex,
            noise: noise,
            reply: reply,
            began: now
        )
        halfOpenOrder.append(index)
        outbox.append((reply, source))
    }

    private mutating func finished(
        _ message: ArraySlice<UInt8>,
        halfOpen index: UInt32,
        from source: Endpoint,
        at now: Instant
    ) throws(SecureChannelError) {
        guard var half = halfOpen[index] else {
            guard let session = sessions[index] else { throw .unknownSession(index) }
            // It comes twice when its sender was not sure that it had arrived.
            if now - session.began < Self.halfOpenTimeLimit { throw .repeated }
            throw .replayed
        }
        let payload = try half.noise.read(message)
        guard payload.isEmpty else {
            throw .tooLong(byteCount: payload.count, limit: 0)
        }
        let channel = try half.noise.finish()
        let node = try keys.admit(channel.remote, under: half.keyID)
        guard node == half.sender else { throw .otherSender }
        halfOpen[index] = nil
        halfOpenOrder.removeAll { $0 == index }
        establish(
            index,
            Session(
                node: node,
                peerIndex: half.peerIndex,
                endpoint: source,
                keyID: half.keyID,
                began: now,
                sending: channel.sending,
                receiving: channel.receiving
            ),
            at: now
        )
    }

    // MARK: - Beginning them

    private mutating func answered(
        _ message: ArraySlice<UInt8>,
        handshake index: UInt32,
        at now: Instant
    ) throws(SecureChannelError) {
        // Works on a copy: a wrong answer must not spoil the wait for the right one.
        guard var handshake = handshakes[index] else { throw .unknownSession(index) }
        let payload = try handshake.noise.read(message)
        guard payload.count == 4 else { throw .truncated(needed: 4, available: payload.count) }
        let last = try handshake.noise.write()
        let channel = try handshake.noise.finish()
        let node = try keys.admit(channel.remote, under: handshake.keyID)
        let peerIndex: UInt32 = SealedHeader.integer(payload[...])
        let finish = SealedHeader.bytes(Kind.finish.rawValue, peerIndex) + last
        handshakes[index] = nil
        outbox.append((finish, handshake.endpoint))
        establish(
            index,
            Session(
                node: node,
                peerIndex: peerIndex,
                endpoint: handshake.endpoint,
                keyID: handshake.keyID,
                began: now,
                sending: channel.sending,
                receiving: channel.receiving,
                finish: finish
            ),
            at: now
        )
    }

    private mutating func establish(_ index: UInt32, _ session: Session, at now: Instant) {
        if sessions.count >= Self.sessionLimit {
            let oldest = sessions.min { ($0.value.began, $0.key) < ($1.value.began, $1.key) }
            if let oldest { forget(oldest.key) }
        }
        var others = ofDevice[session.node] ?? []
        while others.count >= Self.sessionsOfDeviceLimit { forget(others.removeFirst()) }
        for other in others {
            // The device may have been started anew, and its other addresses lead nowhere.
            guard let old = sessions[other], old.endpoint != session.endpoint,
                now - old.began > Self.pauseLimit
            else { continue }
            paths[old.endpoint]?.isStale = true
        }
        sessions[index] = session
        ofDevice[session.node] = others + [index]
        var path = paths[session.endpoint] ?? Path(lastUsed: now)
        path.session = index
        path.isStale = false
        path.failures = 0
        path.pausedUntil = nil
        if path.handshake == index { path.handshake = nil }
        let waiting = path.waiting
        path.waiting = []
        paths[session.endpoint] = path
        for message in waiting {
            var bytes: [UInt8] = []
            if seal(message, to: session.endpoint, at: now, into: &bytes) {
                outbox.append((bytes, session.endpoint))
            }
        }
    }
}
