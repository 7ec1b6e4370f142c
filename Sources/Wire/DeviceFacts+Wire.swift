import Primitives
import SWIM

extension DeviceFacts {
    func encode(into bytes: inout [UInt8]) {
        if let encoding {
            bytes += encoding
            return
        }
        bytes.append(text: name)
        bytes.append(bigEndian: memoryTotal.bytes)
        bytes.append(bigEndian: memoryAvailable.bytes)
        bytes.append(bigEndian: httpPort)
        bytes.append(bigEndian: rpcPort)
        bytes.append(text: engine)
        bytes.append(UInt8(models.count))
        for model in models { bytes.append(bigEndian: model) }
        condition.encode(into: &bytes)
        bytes.append(policy?.rawValue ?? 0)
        bytes.append(UInt8(gaps.count))
        for gap in gaps {
            bytes.append(bigEndian: gap.tag)
            bytes.append(gap.failures.rawValue)
        }
        if vocabulary != .first { bytes.append(vocabulary.rawValue) }
    }

    /// Reads a length-prefixed block; what a newer version added at its end is passed over, and
    /// what an older one did not have is unknown.
    init(block bytes: Span<UInt8>, _ reader: inout WireReader) throws(WireError) {
        let length = Int(try reader.integer(bytes, UInt16.self))
        guard length <= bytes.count - reader.offset else {
            throw .truncated(needed: length, available: bytes.count - reader.offset)
        }
        let end = reader.offset + length
        let block = bytes.extracting(reader.offset..<end)
        reader.offset = end
        if let known = reader.facts?.facts(in: block) {
            self = known
            return
        }
        let facts = try Self.read(block)
        // Others hear of what is in newer or older blocks as this version writes it.
        guard facts.wireByteCount == block.count else {
            self = facts
            return
        }
        self = facts.remembering([UInt8](copying: block))
        reader.facts?.keep(self, from: block)
    }

    private static func read(_ block: Span<UInt8>) throws(WireError) -> DeviceFacts {
        var inner = WireReader(offset: 0)
        let name = try inner.text(block, "name", limit: nameByteLimit)
        let total: UInt64 = try inner.integer(block)
        let available: UInt64 = try inner.integer(block)
        let httpPort: UInt16 = try inner.integer(block)
        let rpcPort: UInt16 = try inner.integer(block)
        let engine = try inner.text(block, "engine", limit: engineByteLimit)
        let models: [UInt64] = try inner.list(block, "models", limit: modelLimit) {
            block,
            inner throws(WireError) in try inner.integer(block)
        }
        var condition = DeviceCondition()
        var policy: ElectionPolicy?
        var gaps: [ReachGap] = []
        var vocabulary = Vocabulary.first
        if inner.offset < block.count {
            condition = try DeviceCondition(block, &inner)
            policy = try ElectionPolicy(block, &inner)
            gaps = try inner.list(block, "gaps", limit: ReachGap.limit) {
                block,
                inner throws(WireError) in try ReachGap(block, &inner)
            }
        }
        if inner.offset < block.count { vocabulary = Vocabulary(try inner.integer(block)) }
        return DeviceFacts(
            name: name,
            memoryTotal: ByteCount(total),
            memoryAvailable: ByteCount(available),
            httpPort: httpPort,
            rpcPort: rpcPort,
            engine: engine,
            models: models,
            condition: condition,
            policy: policy,
            gaps: gaps,
            vocabulary: vocabulary
        )
    }
}

extension WireReader {
    /// A count byte and as many elements.
    fileprivate mutating func list<Element>(
        _ bytes: Span<UInt8>,
        _ field: String,
        limit: Int,
        element: (Span<UInt8>, inout WireReader) throws(WireError) -> Element
    ) throws(WireError) -> [Element] {
        let count = Int(try integer(bytes, UInt8.self))
        guard count <= limit else { throw .tooMany(field: field, count: count, limit: limit) }
        var elements: [Element] = []
        for _ in 0..<count { elements.append(try element(bytes, &self)) }
        return elements
    }
}

extension ReachGap {
    fileprivate init(_ bytes: Span<UInt8>, _ reader: inout WireReader) throws(WireError) {
        let tag: UInt32 = try reader.integer(bytes)
        self.init(tag: tag, failures: Failures(rawValue: try reader.integer(bytes)))
    }
}

extension ElectionPolicy {
    /// Nil for 0, "not told".
    fileprivate init?(_ bytes: Span<UInt8>, _ reader: inout WireReader) throws(WireError) {
        let raw: UInt8 = try reader.integer(bytes)
        guard raw != 0 else { return nil }
        guard let policy = ElectionPolicy(rawValue: raw) else {
            throw .badValue(field: "policy", value: UInt64(raw))
        }
        self = policy
    }
}

extension DeviceCondition {
    fileprivate func encode(into bytes: inout [UInt8]) {
        bytes.append(bigEndian: threadCount)
        power.encode(into: &bytes)
        bytes.append(temperature ?? 0)
        bytes.append(flag: isThrottled)
        bytes.append(uptime.rawValue)
        bytes.append(rpcVersion?.major ?? 0)
        bytes.append(rpcVersion?.minor ?? 0)
        bytes.append(rpcVersion?.patch ?? 0)
        bytes.append(text: accelerators)
    }

    fileprivate init(_ bytes: Span<UInt8>, _ reader: inout WireReader) throws(WireError) {
        let threadCount: UInt16 = try reader.integer(bytes)
        let power = try PowerSource(bytes, &reader)
        let temperature: UInt8 = try reader.integer(bytes)
        let isThrottled = try reader.flag(bytes, "throttled")
        let uptime: UInt8 = try reader.integer(bytes)
        let rpc = ThreePartVersion(
            try reader.integer(bytes),
            try reader.integer(bytes),
            try reader.integer(bytes)
        )
        self.init(
            threadCount: threadCount,
            power: power,
            temperature: temperature,
            isThrottled: isThrottled,
            uptime: UptimeStep(uptime),
            accelerators: try reader.text(
                bytes,
                "accelerators",
                limit: Self.acceleratorsByteLimit
            ),
            rpcVersion: rpc
        )
    }
}

extension PowerSource {
    fileprivate func encode(into bytes: inout [UInt8]) {
        switch self {
        case .unknown: bytes += [0, 0]
        case .mains: bytes += [1, 0]
        case .charging(let percent): bytes += [2, min(percent, 100)]
        case .battery(let percent): bytes += [3, min(percent, 100)]
        }
    }

    fileprivate init(_ bytes: Span<UInt8>, _ reader: inout WireReader) throws(WireError) {
        let kind: UInt8 = try reader.integer(bytes)
        let percent: UInt8 = try reader.integer(bytes)
        guard percent <= (kind >= 2 ? 100 : 0) else {
            throw .badValue(field: "charge", value: UInt64(percent))
        }
        switch kind {
        case 0: self = .unknown
        case 1: self = .mains
        case 2: self = .charging(percent)
        case 3: self = .battery(percent)
        default: throw .badValue(field: "power", value: UInt64(kind))
        }
    }
}
