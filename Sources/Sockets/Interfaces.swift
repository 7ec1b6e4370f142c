internal import CPosix
package import Primitives

/// One address of one of this machine's network interfaces.
package struct InterfaceAddress: Hashable, Sendable {
    package let interface: String
    /// The system's number of the interface.
    package let index: UInt32
    package let address: IPAddress
    /// How many leading bits of the address name the network.
    package let prefixLength: Int
    /// Reaches every machine of the network; IPv4 only.
    package let broadcast: IPAddress?
    package let isUp: Bool
    package let isLoopback: Bool
    package let supportsMulticast: Bool
}

package enum Interfaces {
    /// More addresses than this are not looked at.
    static let addressLimit = 1024

    /// All addresses of this machine as they are now, in the system's order.
    package static func addresses() throws(SocketError) -> [InterfaceAddress] {
        var found = [cposix_interface](repeating: cposix_interface(), count: 64)
        var count = try fill(&found)
        if count > found.count, found.count < addressLimit {
            found = [cposix_interface](repeating: cposix_interface(), count: addressLimit)
            count = try fill(&found)
        }
        return found.prefix(count).compactMap(InterfaceAddress.init(system:))
    }

    private static func fill(_ found: inout [cposix_interface]) throws(SocketError) -> Int {
        let status = unsafe cposix_interfaces(&found, Int32(found.count))
        return Int(try systemCall("getifaddrs", status))
    }
}

extension InterfaceAddress {
    fileprivate init?(system: cposix_interface) {
        guard let endpoint = Endpoint(system: system.address) else { return nil }
        let name = unsafe withUnsafeBytes(of: system.name) { bytes in
            unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        self.init(
            interface: name,
            index: system.index,
            address: endpoint.address,
            prefixLength: Int(system.prefix_length),
            broadcast: Endpoint(system: system.broadcast)?.address,
            isUp: system.is_up,
            isLoopback: system.is_loopback,
            supportsMulticast: system.is_multicast
        )
    }
}
