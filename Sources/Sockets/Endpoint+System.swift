internal import CPosix
internal import Primitives

extension Endpoint {
    /// The endpoint as the C shim takes it.
    var system: cposix_endpoint {
        switch address {
        case .v4(let bits):
            cposix_endpoint(high: 0, low: UInt64(bits), scope: 0, port: port, version: 4)
        case .v6(let bits, let scope):
            cposix_endpoint(
                high: bits.high,
                low: bits.low,
                scope: scope,
                port: port,
                version: 6
            )
        }
    }

    init?(system: cposix_endpoint) {
        switch system.version {
        case 4:
            let bits = UInt32(truncatingIfNeeded: system.low)
            self.init(address: .v4(bits), port: system.port)
        case 6:
            let bits = IPv6Bits(high: system.high, low: system.low)
            self.init(address: .v6(bits, scope: system.scope), port: system.port)
        default:
            return nil
        }
    }

    /// An IPv4 endpoint in the form that a socket bound to `::` takes (`::ffff:a.b.c.d`).
    var mappedToV6: Endpoint {
        guard case .v4(let bits) = address else { return self }
        return Endpoint(
            address: .v6(IPv6Bits(high: 0, low: 0xFFFF << 32 | UInt64(bits))),
            port: port
        )
    }
}
