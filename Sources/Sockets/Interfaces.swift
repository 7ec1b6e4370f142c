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

    /// An address as people write it, its zone (`%wlan0`) as this machine's number of the interface.
    ///
    /// What has no zone, or one of no interface, stays as it is.
    package static func numberingZone(of text: String) -> String {
        guard let percent = text.firstIndex(of: "%") else { return text }
        let rest = text[text.index(after: percent)...]
        let name = rest.prefix { $0 != "]" }
        guard let found = try? addresses().first(where: { $0.interface == name }) else {
            return text
        }
        return text[...percent] + "\(found.index)" + rest.dropFirst(name.count)
    }

    /// What an agent listens on that shall be reached in every way: both families where the
    /// system has them.
    package static var everywhere: IPAddress {
        let all = Endpoint(address: .v6(0), port: 0)
        do throws(SocketError) {
            try Socket.make(.datagrams, for: all.address).bind(to: all, kind: .datagrams)
            return all.address
        } catch {
            return .v4(0)
        }
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
