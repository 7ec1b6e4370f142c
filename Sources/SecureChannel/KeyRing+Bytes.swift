internal import Primitives

// A ring on its way from one member to another (Protocols/secure-channel.md). Times travel as
// distances from now: the devices' clocks need not agree.
extension KeyRing {
    package func encoded(at now: Int64) -> [UInt8] {
        var bytes: [UInt8] = [1]
        bytes.append(bigEndian: version)
        bytes.append(UInt8(entries.count))
        for entry in entries {
            bytes += entry.key.bytes
            bytes.append(bigEndian: UInt32(clamping: entry.sealsFrom - now))
            // The highest value stands for "no end".
            let opensFor = entry.opensUntil.map { min(UInt32(clamping: $0 - now), .max - 1) }
            bytes.append(bigEndian: opensFor ?? .max)
        }
        bytes.append(bigEndian: UInt16(removed.count))
        for node in removed { bytes.append(bigEndian: node.rawValue) }
        return bytes
    }

    package init(
        decoding bytes: Span<UInt8>,
        at now: Int64
    ) throws(SecureChannelError) {
        do {
            var offset = 0
            let format: UInt8 = try bytes.readBigEndian(at: &offset)
            guard format == 1 else {
                throw SecureChannelError.badValue(field: "format", value: UInt64(format))
            }
            let version: UInt64 = try bytes.readBigEndian(at: &offset)
            let keyCount: UInt8 = try bytes.readBigEndian(at: &offset)
            var entries: [Entry] = []
            for _ in 0..<keyCount { entries.append(try Self.entry(bytes, &offset, now)) }
            let removedCount: UInt16 = try bytes.readBigEndian(at: &offset)
            guard removedCount <= Self.removedLimit else {
                throw SecureChannelError.tooLong(
                    byteCount: Int(removedCount),
                    limit: Self.removedLimit
                )
            }
            var removed: [NodeID] = []
            for _ in 0..<removedCount {
                removed.append(NodeID(try bytes.readBigEndian(UInt128.self, at: &offset)))
            }
            guard offset == bytes.count,
                let ring = KeyRing(version: version, entries: entries, removed: removed)
            else {
                throw SecureChannelError.badValue(field: "ring", value: UInt64(keyCount))
            }
            self = ring
        } catch let error as TruncatedBytes {
            throw .truncated(needed: error.needed, available: error.available)
        } catch let error as SecureChannelError {
            throw error
        } catch {
            throw .doesNotOpen
        }
    }

    private static func entry(
        _ bytes: Span<UInt8>,
        _ offset: inout Int,
        _ now: Int64
    ) throws(TruncatedBytes) -> Entry {
        let raw = try bytes.readBytes(ClusterKey.byteCount, at: &offset)
        let sealsIn: UInt32 = try bytes.readBigEndian(at: &offset)
        let opensFor: UInt32 = try bytes.readBigEndian(at: &offset)
        guard let key = ClusterKey(bytes: raw) else {
            throw TruncatedBytes(needed: ClusterKey.byteCount, available: raw.count)
        }
        return Entry(
            key: key,
            sealsFrom: now + Int64(sealsIn),
            opensUntil: opensFor == .max ? nil : now + Int64(opensFor)
        )
    }
}
