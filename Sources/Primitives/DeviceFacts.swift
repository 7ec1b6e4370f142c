/// What a device says of itself to all others; it rides on gossip, so its size is bounded.
package struct DeviceFacts: Hashable, Sendable {
    /// How many bytes of UTF-8 a name may have.
    package static let nameByteLimit = 63
    /// How many bytes of UTF-8 an engine version may have.
    package static let engineByteLimit = 31
    /// How many models are told of; a device may hold more.
    package static let modelLimit = 16

    /// For people; need not be unique.
    package private(set) var name: String
    package var memoryTotal: ByteCount
    /// What the device offers to models now.
    package var memoryAvailable: ByteCount
    /// Where its HTTP gateway listens; 0 if nowhere.
    package var httpPort: UInt16
    /// Where its RPC server listens when it runs.
    package var rpcPort: UInt16
    /// llama.cpp's version; empty if the device has none and can be no worker.
    package private(set) var engine: String
    /// Fingerprints of the model files it holds (`fingerprint(ofModel:)`).
    package private(set) var models: [UInt64]
    package var condition: DeviceCondition
    /// How its cluster elects; nil if it does not tell.
    package var policy: ElectionPolicy?
    /// Whom it cannot reach in every way, sorted by tag.
    package private(set) var gaps: [ReachGap]

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
        gaps: [ReachGap] = []
    ) {
        self.name = name.cut(toByteCount: Self.nameByteLimit)
        self.memoryTotal = memoryTotal
        self.memoryAvailable = memoryAvailable
        self.httpPort = httpPort
        self.rpcPort = rpcPort
        self.engine = engine.cut(toByteCount: Self.engineByteLimit)
        self.models = Array(models.prefix(Self.modelLimit))
        self.condition = condition
        self.policy = policy
        self.gaps = Array(gaps.prefix(ReachGap.limit))
    }

    /// The same device, which reaches others in another way.
    package func with(gaps: [ReachGap]) -> DeviceFacts {
        var facts = self
        facts.gaps = Array(gaps.prefix(ReachGap.limit))
        return facts
    }

    /// FNV-1a-64 of a model file's name: enough to say "I hold it", far smaller than the name.
    package static func fingerprint(ofModel fileName: String) -> UInt64 {
        fileName.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }
}

extension String {
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
