import Primitives

/// Reads the fields of a message one after the other.
struct WireReader {
    var offset: Int
    /// What was read before, and need not be read again.
    let facts: FactsCache?

    init(offset: Int, facts: FactsCache? = nil) {
        self.offset = offset
        self.facts = facts
    }

    mutating func integer<Value: FixedWidthInteger & UnsignedInteger>(
        _ bytes: Span<UInt8>,
        _: Value.Type = Value.self
    ) throws(WireError) -> Value {
        do throws(TruncatedBytes) {
            return try bytes.readBigEndian(Value.self, at: &offset)
        } catch {
            throw WireError(error)
        }
    }

    mutating func node(_ bytes: Span<UInt8>) throws(WireError) -> NodeID {
        guard bytes.count - offset >= NodeID.byteCount else {
            throw .truncated(needed: NodeID.byteCount, available: bytes.count - offset)
        }
        let high: UInt64 = try integer(bytes)
        return NodeID(high: high, low: try integer(bytes))
    }

    mutating func flag(_ bytes: Span<UInt8>, _ field: String) throws(WireError) -> Bool {
        let value: UInt8 = try integer(bytes)
        guard value <= 1 else { throw .badValue(field: field, value: UInt64(value)) }
        return value == 1
    }

    /// A number in as few bytes as it needs: seven bits a byte, the lowest first.
    mutating func count<Value: FixedWidthInteger & UnsignedInteger>(
        _ bytes: Span<UInt8>,
        _ field: String,
        _: Value.Type = Value.self
    ) throws(WireError) -> Value {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), through: 63, by: 7) {
            let byte: UInt8 = try integer(bytes)
            let bits = UInt64(byte & 0x7F)
            value |= bits << shift
            // One way to write each number: no byte too many, no bit that falls off.
            guard (bits << shift) >> shift == bits, byte != 0 || shift == 0 else {
                throw .badValue(field: field, value: UInt64(byte))
            }
            guard byte < 0x80 else { continue }
            guard let exact = Value(exactly: value) else {
                throw .badValue(field: field, value: value)
            }
            return exact
        }
        throw .badValue(field: field, value: value)
    }

    mutating func ballot(_ bytes: Span<UInt8>) throws(WireError) -> Ballot {
        let term: UInt64 = try integer(bytes)
        return Ballot(term: term, node: try node(bytes))
    }

    /// A length byte and UTF-8.
    mutating func text(
        _ bytes: Span<UInt8>,
        _ field: String,
        limit: Int = 255
    ) throws(WireError) -> String {
        let count = Int(try integer(bytes, UInt8.self))
        guard count <= limit else { throw .tooMany(field: field, count: count, limit: limit) }
        guard count > 0 else { return "" }
        guard count <= bytes.count - offset else {
            throw .truncated(needed: count, available: bytes.count - offset)
        }
        let start = offset
        offset += count
        do throws(UTF8.ValidationError) {
            let text = try UTF8Span(validating: bytes.extracting(start..<offset))
            return String(copying: text)
        } catch {
            throw .badText(field: field)
        }
    }

    mutating func endpoint(_ bytes: Span<UInt8>) throws(WireError) -> Endpoint {
        let family: UInt8 = try integer(bytes)
        let address: IPAddress
        switch family {
        case 4: address = .v4(try integer(bytes))
        case 6: address = .v6(IPv6Bits(try integer(bytes)))
        default: throw .badValue(field: "family", value: UInt64(family))
        }
        return Endpoint(address: address, port: try integer(bytes))
    }

    mutating func session(_ bytes: Span<UInt8>) throws(WireError) -> (Ballot, UInt32) {
        let ballot = try ballot(bytes)
        return (ballot, try integer(bytes))
    }

    func finish(_ bytes: Span<UInt8>) throws(WireError) {
        guard offset == bytes.count else { throw .trailingBytes(bytes.count - offset) }
    }
}

extension [UInt8] {
    mutating func append(_ node: NodeID) {
        append(bigEndian: node.high)
        append(bigEndian: node.low)
    }

    mutating func append(_ ballot: Ballot) {
        append(bigEndian: ballot.term)
        append(ballot.node)
    }

    mutating func append(flag: Bool) {
        append(flag ? 1 as UInt8 : 0)
    }

    /// In as few bytes as it needs: seven bits a byte, the lowest first, the high bit set if more
    /// follow.
    mutating func append(count: UInt64) {
        var rest = count
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(rest))
    }

    /// A length byte and UTF-8; texts are bounded where they are made.
    mutating func append(text: String) {
        let text = text.cut(toByteCount: 255)
        append(UInt8(text.utf8.count))
        append(contentsOf: text.utf8)
    }

    mutating func append(_ endpoint: Endpoint) {
        switch endpoint.address {
        case .v4(let bits):
            append(4 as UInt8)
            append(bigEndian: bits)
        case .v6(let bits, _):
            append(6 as UInt8)
            append(bigEndian: bits.value)
        }
        append(bigEndian: endpoint.port)
    }
}
