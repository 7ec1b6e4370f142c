import Diagnosis
import Primitives
import Sockets

/// Where this device says that it is reached.
enum OwnAddress {
    /// The address that others are told.
    ///
    /// An agent on one address says that one, whether the machine has it or not. One on all
    /// addresses says one of an interface that is up and leads to other devices: rather a local
    /// network's than a VPN's, a phone network's or one of containers; there rather one that
    /// routers know than one of the link alone; rather IPv4, which every agent on the network
    /// speaks; and it stays with what it said before unless something better has come.
    static func choose(
        for bind: IPAddress,
        among addresses: [InterfaceAddress],
        current: IPAddress? = nil
    ) -> IPAddress {
        guard bind.isUnspecified else { return bind.withoutScope }
        let usable = addresses.filter {
            $0.isUp && !$0.isLoopback && !$0.address.isLoopback && !$0.address.isUnspecified
                && ($0.address.isV4 || !bind.isV4)
        }
        func rank(_ candidate: InterfaceAddress) -> (Int, Int, Int, Int) {
            (
                candidate.kind.rank,
                candidate.address.isLinkLocal ? 1 : 0,
                candidate.address.isV4 ? 0 : 1,
                candidate.address.withoutScope == current ? 0 : 1
            )
        }
        // Of equals the first: the system's order is stable.
        var best: InterfaceAddress?
        for candidate in usable {
            guard let known = best else {
                best = candidate
                continue
            }
            if rank(candidate) < rank(known) { best = candidate }
        }
        return best?.address.withoutScope ?? .loopback
    }

    /// Where an agent listens that was given this address; nil if it is none.
    ///
    /// An address of one link alone is completed with the link on which this machine has it.
    static func listening(on text: String, among addresses: [InterfaceAddress]) -> IPAddress? {
        guard let address = IPAddress(Interfaces.numberingZone(of: text)) else { return nil }
        guard address.needsScope else { return address }
        return addresses.first { $0.address.withoutScope == address }?.address ?? address
    }
}

extension InterfaceAddress {
    var kind: InterfaceKind {
        InterfaceKind(name: interface, isLoopback: isLoopback)
    }
}
