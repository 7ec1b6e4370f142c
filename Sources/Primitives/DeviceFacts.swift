/// What a device says of itself to all others; it rides on gossip, so its size is bounded.
package struct DeviceFacts: Hashable, Sendable {
    /// How many bytes of UTF-8 a name may have.
    package static let nameByteLimit = 63
    /// How many bytes of UTF-8 an engine version may have.
    package static let engineByteLimit = 31
    /// How many models are told of; a device may hold more.
    package static let modelLimit = 16

    /// Copies share what they hold: an agent passes on what a thousand others say of themselves,
    /// and most of the time just passes it on.
    private final class Storage: Sendable {
        let fields: Fields
        let encoding: [UInt8]?
        let encodedByteCount: Int?
        let glance: Glance

        init(_ fields: Fields, encoding: [UInt8]? = nil) {
            self.fields = fields
            glance = Glance(
                hasEngine: !fields.engine.isEmpty,
                takesWork: fields.memoryAvailable > .zero,
                isOnMains: fields.condition.power.isLasting,
                hasGaps: !fields.gaps.isEmpty,
                uptime: fields.condition.uptime,
                policy: fields.policy,
                vocabulary: fields.vocabulary
            )
            self.encoding = encoding
            encodedByteCount = encoding?.count
        }
    }

    /// What is looked at in all members each time that one changes: without texts and lists.
    package struct Glance: Sendable {
        package let hasEngine: Bool
        package let takesWork: Bool
        package let isOnMains: Bool
        package let hasGaps: Bool
        package let uptime: UptimeStep
        package let policy: ElectionPolicy?
        package let vocabulary: Vocabulary
    }

    private struct Fields: Hashable, Sendable {
        var name: String
        var memoryTotal: ByteCount
        var memoryAvailable: ByteCount
        var httpPort: UInt16
        var rpcPort: UInt16
        var engine: String
        var models: [UInt64]
        var condition: DeviceCondition
        var policy: ElectionPolicy?
        var gaps: [ReachGap]
        var vocabulary: Vocabulary
    }

    private var storage: Storage

    package init(
        name: String,
        memoryTotal: ByteCount = .zero,
        memoryAvailable: ByteCount = .zero,
        httpPort: UInt16 = 0,
        rpcPort: UInt16 = 0,
        engine: String = "",
        models: [UInt64] = [],
        condition: DeviceCondition = DeviceCondition(),
        policy: ElectionPolicy? = nil,
        gaps: [ReachGap] = [],
        vocabulary: Vocabulary = .first
    ) {
        storage = Storage(
            Fields(
                name: name.cut(toByteCount: Self.nameByteLimit),
                memoryTotal: memoryTotal,
                memoryAvailable: memoryAvailable,
                httpPort: httpPort,
                rpcPort: rpcPort,
                engine: engine.cut(toByteCount: Self.engineByteLimit),
                models: Array(models.prefix(Self.modelLimit)),
                condition: condition,
                policy: policy,
                gaps: Array(gaps.prefix(ReachGap.limit)),
                vocabulary: vocabulary
            )
        )
    }

    package var glance: Glance { storage.glance }

    /// For people; need not be unique.
    package var name: String { storage.fields.name }

    package var memoryTotal: ByteCount { storage.fields.memoryTotal }

    /// What the device offers to models now.
    package var memoryAvailable: ByteCount {
        get { storage.fields.memoryAvailable }
        set { change { $0.memoryAvailable = newValue } }
    }

    /// Where its HTTP gateway listens; 0 if nowhere.
    package var httpPort: UInt16 {
        get { storage.fields.httpPort }
        set { change { $0.httpPort = newValue } }
    }

    /// Where its RPC server listens when it runs.
    package var rpcPort: UInt16 { storage.fields.rpcPort }

    /// llama.cpp's version; empty if the device has none and can be no worker.
    package var engine: String { storage.fields.engine }

    /// Fingerprints of the model files it holds (`fingerprint(ofModel:)`).
    package var models: [UInt64] { storage.fields.models }

    package var condition: DeviceCondition {
        get { storage.fields.condition }
        set { change { $0.condition = newValue } }
    }

    /// How its cluster elects; nil if it does not tell.
    package var policy: ElectionPolicy? {
        get { storage.fields.policy }
        set { change { $0.policy = newValue } }
    }

    /// Whom it cannot reach in every way, sorted by tag.
    package var gaps: [ReachGap] { storage.fields.gaps }

    /// Which messages its agent understands.
    package var vocabulary: Vocabulary {
        get { storage.fields.vocabulary }
        set { change { $0.vocabulary = newValue } }
    }

    /// The bytes that these facts were read from, if writing them again would give the same; nil
    /// for facts that were made here.
    package var encoding: [UInt8]? { storage.encoding }

    /// How many bytes that is.
    package var encodedByteCount: Int? { storage.encodedByteCount }

    /// The same facts, which remember the bytes that they were read from.
    package func remembering(_ encoding: [UInt8]) -> DeviceFacts {
        var facts = self
        facts.storage = Storage(storage.fields, encoding: encoding)
        return facts
    }

    /// The same device, which reaches others in another way.
    package func with(gaps: [ReachGap]) -> DeviceFacts {
        var facts = self
        facts.change { $0.gaps = Array(gaps.prefix(ReachGap.limit)) }
        return facts
    }

    private mutating func change(_ change: (inout Fields) -> Void) {
        var fields = storage.fields
        change(&fields)
        storage = Storage(fields)
    }

    package static func == (left: Self, right: Self) -> Bool {
        left.storage === right.storage || left.storage.fields == right.storage.fields
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(storage.fields)
    }

    /// FNV-1a-64 of a model file's name: enough to say "I hold it", far smaller than the name.
    package static func fingerprint(ofModel fileName: String) -> UInt64 {
        fileName.fnv1a
    }
}

extension String {
    /// FNV-1a of its UTF-8, in 64 bits.
    package var fnv1a: UInt64 {
        utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }

    /// The longest prefix of whole characters within a byte limit.
    package func cut(toByteCount limit: Int) -> String {
        guard utf8.count > limit else { return self }
        var result = ""
        for character in self {
            guard result.utf8.count + character.utf8.count <= limit else { break }
            result.append(character)
        }
        return result
    }
}
