/// An IP address and a port: where an agent, an RPC server or an HTTP server is reached.
package struct Endpoint: Hashable, Comparable, Sendable {
    package var address: IPAddress
    package var port: UInt16

    package init(address: IPAddress, port: UInt16) {
        self.address = address
        self.port = port
    }

    /// Reads `127.0.0.1:80`, `[::1]:80`, and, when a default port is given, an address without one.
    ///
    /// Only literals: names are resolved at the edge, never here. Nil for anything else.
    package init?(_ text: some StringProtocol, defaultPort: UInt16? = nil) {
        if let address = IPAddress(text) {
            guard let defaultPort else { return nil }
            self.init(address: address, port: defaultPort)
            return
        }
        if text.hasPrefix("["), text.hasSuffix("]"), let defaultPort,
            let address = IPAddress(text.dropFirst().dropLast())
        {
            self.init(address: address, port: defaultPort)
            return
        }
        guard let colon = text.lastIndex(of: ":"),
            let port = UInt16(text[text.index(after: colon)...])
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        guard let address = IPAddress(host) else { return nil }
        self.init(address: address, port: port)
    }

    package static func < (left: Self, right: Self) -> Bool {
        (left.address, left.port) < (right.address, right.port)
    }
}

extension Endpoint: CustomStringConvertible {
    package var description: String {
        switch address {
        case .v4: "\(address):\(port)"
        case .v6: "[\(address)]:\(port)"
        }
    }
}
