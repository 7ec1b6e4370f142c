import Agent
import Primitives
import SecureChannel

// What arrives from whoever says to belong to the cluster, and what keeps its keys.
//
// The first byte of an input chooses: 0 feeds the rest as it is; others let two devices of one
// cluster talk, and alter what passes between them.
extension FuzzTarget {
    static let secure: [FuzzTarget] = [
        FuzzTarget("sealed-datagram", "datagrams to a device with a key; or altered ones") {
            bytes in
            guard let first = bytes.first else { return }
            var devices = try SealedPair(stage: first == 0 ? 0 : Int(first - 1) % 4)
            if first == 0 {
                try devices.receive(Array(bytes.dropFirst()).measuredPieces)
            } else {
                try devices.talk(Alteration(bytes.dropFirst()))
            }
        },
        FuzzTarget("sealed-stream", "a stream to a device with a key; or an altered one") {
            bytes in
            guard let first = bytes.first else { return }
            var pair = try StreamPair(stage: first == 0 ? 0 : Int(first - 1) % 4)
            if first == 0 {
                try pair.receive(Array(bytes.dropFirst()).pieces)
            } else {
                try pair.talk(Alteration(bytes.dropFirst()))
            }
        },
        FuzzTarget("sealed-record", "records of an open stream; or altered ones") { bytes in
            guard let first = bytes.first else { return }
            guard let (sender, receiver) = StreamPair.records else {
                return try expect(false, "two devices open no stream")
            }
            var (sending, receiving) = (sender, receiver)
            let said = Array("What a stream carries, in more than one record.".utf8)
            var sealed: [UInt8] = []
            if first == 0 {
                sealed = Array(bytes.dropFirst())
            } else {
                try? sending.seal(said.prefix(20), into: &sealed)
                try? sending.seal(said.dropFirst(20), into: &sealed)
                try? sending.end(into: &sealed)
                sealed = Alteration(bytes.dropFirst()).applied(to: sealed)
            }
            var plain: [UInt8] = []
            for piece in ([first] + sealed).pieces {
                guard (try? receiving.receive(piece[...], into: &plain)) != nil else { break }
            }
            try expect(said.starts(with: plain), "an altered record was opened")
            try expect(
                receiving.unreadByteCount <= RecordLayer.plainByteLimit + 64,
                "\(receiving.unreadByteCount) bytes wait for their rest"
            )
        },
        FuzzTarget("sealed-beacon", "a beacon; or an altered one") { bytes in
            guard let first = bytes.first, let keys = SealedPair.keys else { return }
            var receiver = BeaconSeal(own: NodeID(1), keys: keys)
            var beacon = Array(bytes.dropFirst())
            var isGenuine = false
            if first != 0 {
                var sender = BeaconSeal(own: NodeID(2), keys: keys)
                let genuine = sender.seal(Array("here".utf8), time: 7)
                beacon = Alteration(bytes.dropFirst()).applied(to: genuine)
                isGenuine = beacon == genuine
            }
            let opened = try? receiver.open(beacon, time: 7, uptime: 0)
            try expect((opened != nil) == isGenuine, "a beacon without the key's seal was opened")
        },
        FuzzTarget("key-ring", "the keys that another member hands on") { bytes in
            if let farewell = Farewell(decoding: bytes) {
                try expect(farewell.encoded() == bytes, "what was read is written otherwise")
            }
            guard let ring = try? KeyRing(decoding: bytes.span, at: 0) else { return }
            let again = try? KeyRing(decoding: ring.encoded(at: 0).span, at: 0)
            try expect(again == ring, "what was read is written as something else")
        },
        FuzzTarget("join-code", "a join code, as people type it") { bytes in
            guard let key = try? JoinCode.key(from: bytes.text) else { return }
            let again = try? JoinCode.key(from: JoinCode.text(for: key))
            try expect(again == key, "the code of a key gives another key")
        },
        FuzzTarget("key-file", "the file that keeps the cluster's keys") { bytes in
            _ = ClusterKeyFile.ring(in: bytes)
        },
        FuzzTarget("hello-file", "the file that keeps whose hellos were taken") { bytes in
            guard let kept = try? HelloFile.kept(in: bytes) else { return }
            var ledger = HelloLedger(own: NodeID(1), kept: kept, time: 0) { _ in true }
            try expect(ledger.keep().heard.count <= HelloLedger.senderLimit, "too much is kept")
        },
        FuzzTarget("token-file", "the file that keeps the hashes of tokens") { bytes in
            _ = try? TokenFile.entries(in: bytes, path: "tokens.json")
        },
    ]
}

/// Bytes that are changed: two bytes of position, one of what is changed there, again and again.
private struct Alteration {
    private let changes: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) {
        changes = bytes.prefix(12)
    }

    func applied(to bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        var rest = changes
        while !bytes.isEmpty, let high = rest.popFirst(), let low = rest.popFirst(),
            let mask = rest.popFirst()
        {
            bytes[(Int(high) << 8 | Int(low)) % bytes.count] ^= mask
        }
        return bytes
    }
}

/// Two devices of one cluster and the datagrams between them.
private struct SealedPair {
    static let keys = ClusterKey(bytes: Array(repeating: 7, count: ClusterKey.byteCount)).map {
        KeyRing($0).keys(cluster: "caravan", at: 0)
    }
    static let identities = [3, 5].compactMap {
        DeviceIdentity(secret: Array(repeating: $0 as UInt8, count: 32))
    }
    static let endpoints = [1, 2].map { number -> Endpoint in
        Endpoint(address: .v4(0x7F00_0000 + number), port: 52414)
    }
    private static let message = Array("what nobody else is to read".utf8)

    /// The devices before each datagram of a talk that goes well arrives; made once, because curve
    /// operations are slow.
    private static let stages: [SealedPair] = {
        guard var pair = SealedPair() else { return [] }
        var all = [pair]
        while let next = pair.underWay.first {
            pair.underWay.removeFirst()
            guard (try? pair.deliver(next.bytes, to: next.to, insteadOf: next.bytes)) != nil else {
                return []
            }
            all.append(pair)
        }
        return all
    }()

    private var devices: [DatagramSessions]
    private var underWay: [(bytes: [UInt8], to: Int)] = []

    /// The first one has said something to the second.
    private init?() {
        guard let keys = Self.keys, Self.identities.count == 2 else { return nil }
        devices = (0..<2).map { number in
            DatagramSessions(
                identity: Self.identities[number],
                keys: keys,
                hellos: Self.hellos(number)
            )
        }
        var bytes: [UInt8] = []
        _ = devices[0].seal(Self.message, to: Self.endpoints[1], at: .origin, into: &bytes)
        collect()
    }

    /// The devices before the datagram of that number, of four.
    init(stage: Int) throws {
        try expect(Self.stages.count == 5, "two devices do not come to talk")
        self = Self.stages[stage]
    }

    static func hellos(_ number: Int) -> HelloLedger {
        HelloLedger(own: identities[number].node, time: 7) { $0 == endpoints[number] }
    }

    private mutating func collect() {
        for from in 0..<2 {
            underWay += devices[from].outbox.map { ($0.bytes, 1 - from) }
            devices[from].outbox = []
        }
    }

    func receive(_ datagrams: [[UInt8]]) throws {
        var device = devices[1]
        for datagram in datagrams {
            var message: [UInt8] = []
            let sender = try? device.open(
                datagram,
                from: Self.endpoints[0],
                at: .origin,
                into: &message
            )
            try expect((sender ?? nil) == nil && message.isEmpty, "a stranger was believed")
        }
        try expect(device.sessionCount == 0, "a stranger has a session")
    }

    /// Alters the datagram that is next, and lets the rest arrive.
    mutating func talk(_ alteration: Alteration) throws {
        guard let next = underWay.first else { return }
        underWay.removeFirst()
        try deliver(alteration.applied(to: next.bytes), to: next.to, insteadOf: next.bytes)
        for _ in 0..<8 {
            guard let next = underWay.first else { return }
            underWay.removeFirst()
            try deliver(next.bytes, to: next.to, insteadOf: next.bytes)
        }
    }

    private mutating func deliver(
        _ bytes: [UInt8],
        to: Int,
        insteadOf genuine: [UInt8]
    ) throws {
        var message: [UInt8] = []
        let sender = try? devices[to].open(
            bytes,
            from: Self.endpoints[1 - to],
            at: .origin,
            into: &message
        )
        collect()
        guard sender ?? nil != nil else { return }
        try expect(bytes == genuine, "an altered datagram was opened")
        try expect(message == Self.message, "another message came out")
    }
}

/// Two devices of one cluster and a stream between them.
private struct StreamPair {
    /// The devices before each step of a handshake that goes well, and after it; made once,
    /// because curve operations are slow.
    private static let stages: [StreamPair] = {
        guard var pair = StreamPair() else { return [] }
        var all = [pair]
        for _ in 0..<3 {
            guard (try? pair.pass(pair.underWay)) != nil else { return [] }
            all.append(pair)
        }
        return all
    }()

    static let records: (RecordLayer, RecordLayer)? = {
        guard var pair = try? StreamPair(stage: 3), let first = pair.dialler.takeRecords(),
            let second = pair.listener.takeRecords()
        else { return nil }
        return (first, second)
    }()

    private var dialler: StreamSeal
    private var listener: StreamSeal
    private var hellos = (SealedPair.hellos(0), SealedPair.hellos(1))
    private var events: [StreamSeal.Event] = []
    private var underWay: [UInt8]
    private var step = 0

    private init?() {
        guard let keys = SealedPair.keys, SealedPair.identities.count == 2,
            let (seal, hello) = try? StreamSeal.connecting(
                to: SealedPair.endpoints[1],
                for: .frames,
                suite: .allCases[0],
                identity: SealedPair.identities[0],
                keys: keys,
                hellos: &hellos.0
            )
        else { return nil }
        (dialler, underWay) = (seal, hello)
        listener = StreamSeal(accepting: SealedPair.identities[1], keys: keys)
    }

    /// The devices before that step; after the handshake at 3 and above.
    init(stage: Int) throws {
        try expect(Self.stages.count == 4, "two devices open no stream")
        self = Self.stages[min(stage, 3)]
    }

    func receive(_ pieces: [[UInt8]]) throws {
        var pair = self
        var answer: [UInt8] = []
        for piece in pieces {
            let isTaken: Void? = try? pair.listener.receive(
                piece,
                hellos: &pair.hellos.1,
                answer: &answer,
                events: &pair.events
            )
            if isTaken == nil { break }
        }
        try expect(pair.events.isEmpty, "a stream was let in")
    }

    /// Alters the next step, or the first record after the last.
    mutating func talk(_ alteration: Alteration) throws {
        var isAltered = false
        if step < 3 {
            let altered = alteration.applied(to: underWay)
            isAltered = altered != underWay
            isAltered = (try? finish(altered)) == nil || isAltered
        }
        let said = Array("hello".utf8)
        var sealed: [UInt8] = []
        guard (try? dialler.seal(said, into: &sealed)) != nil else { return }
        let isRecord = step == 3 && !isAltered
        let record = isRecord ? alteration.applied(to: sealed) : sealed
        var answer: [UInt8] = []
        events = []
        _ = try? listener.receive(
            record,
            hellos: &hellos.1,
            answer: &answer,
            events: &events
        )
        let received = events.contains { if case .received = $0 { true } else { false } }
        try expect(
            !received || (!isAltered && record == sealed),
            "a stream went on after it was altered"
        )
    }

    private mutating func finish(_ altered: [UInt8]) throws {
        try pass(altered)
        while step < 3 { try pass(underWay) }
    }

    /// The other side gets these bytes; what it answers is under way then.
    private mutating func pass(_ bytes: [UInt8]) throws {
        var answer: [UInt8] = []
        if step.isMultiple(of: 2) {
            try listener.receive(bytes, hellos: &hellos.1, answer: &answer, events: &events)
        } else {
            try dialler.receive(bytes, hellos: &hellos.0, answer: &answer, events: &events)
        }
        underWay = answer
        step += 1
    }
}
