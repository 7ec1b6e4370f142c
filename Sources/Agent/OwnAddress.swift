import Diagnosis
import Primitives
import Sockets

/// Where this device says that it is reached.
enum OwnAddress {
    /// The address that others are told.
    ///
    /// An agent on one address says that one, whether the machine has it or not. One on all
    /// addresses says one of an interface that is up and leads to other devices: rather a local
    /// network's than a VPN's, a phone network's or one of containers, of the family that the
    /// agent was told; and it stays with what it said before unless something better has come.
    static func choose(
        for bind: IPAddress,
        among addresses: [InterfaceAddress],
        current: IPAddress? = nil
    ) -> IPAddress {
        guard bind.isUnspecified else { return bind }
        let usable = addresses.filter {
            $0.isUp && !$0.isLoopback && !$0.address.isLoopback && !$0.address.isLinkLocal
                && !$0.address.isUnspecified
        }
        func rank(_ candidate: InterfaceAddress) -> (Int, Int, Int) {
            (
                candidate.kind.rank,
                isSameFamily(candidate.address, bind) ? 0 : 1,
                candidate.address == current ? 0 : 1
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
        return best?.address ?? .loopback
    }

    private static func isSameFamily(_ address: IPAddress, _ bind: IPAddress) -> Bool {
        switch (address, bind) {
        case (.v4, .v4), (.v6, .v6): true
        case (.v4, .v6), (.v6, .v4): false
        }
    }
}

extension InterfaceAddress {
    var kind: InterfaceKind {
        InterfaceKind(name: interface, isLoopback: isLoopback)
    }
}
