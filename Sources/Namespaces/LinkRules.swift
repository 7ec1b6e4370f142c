/// One direction between two nodes, numbered from 0.
package struct DirectedLink: Hashable, Comparable, Sendable {
    package let from: Int
    package let to: Int

    package init(from: Int, to: Int) {
        self.from = from
        self.to = to
    }

    package static func < (left: Self, right: Self) -> Bool {
        (left.from, left.to) < (right.from, right.to)
    }
}

/// What the links of a network of namespaces let through; a link that is not named lets all
/// through.
package struct LinkRules: Equatable, Sendable {
    /// Nothing passes but what finds out hardware addresses (ARP, neighbour discovery).
    package var blocked: Set<DirectedLink> = []
    /// Shares of packets that are lost, 0…1.
    package var loss: [DirectedLink: Double] = [:]
    /// Bytes a second; what does not fit waits, up to `queueByteLimit`, and is then dropped.
    package var capacity: [DirectedLink: Int] = [:]

    package static let queueByteLimit = 65_536

    package init() {}

    /// The rules of nftables for the bridge, to be loaded whole.
    ///
    /// The ports of the bridge are matched, not addresses: what is sent to all is filtered too.
    /// Only what is passed on from port to port comes by here; the hub itself reaches every node.
    var firewall: String {
        var lines = ["table bridge faults", "delete table bridge faults"]
        lines += ["table bridge faults {", "chain forward {"]
        lines.append("type filter hook forward priority 0; policy accept;")
        lines.append("ether type arp accept")
        lines.append("icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept")
        if !blocked.isEmpty {
            lines.append("\(Self.match(blocked.sorted())) counter drop")
        }
        let losses = loss.filter { $0.value > 0 && !blocked.contains($0.key) }
        for share in Set(losses.values).sorted() {
            let links = losses.filter { $0.value == share }.keys.sorted()
            let millionths = Int((min(share, 1) * 1e6).rounded())
            lines.append(
                "\(Self.match(links)) numgen random mod 1000000 < \(millionths) counter drop"
            )
        }
        return (lines + ["}", "}", ""]).joined(separator: "\n")
    }

    private static func match(_ links: [DirectedLink]) -> String {
        let pairs = links.map { link in
            "\"\(NamespaceNetwork.name(of: link.from))\" . \"\(NamespaceNetwork.name(of: link.to))\""
        }
        return "meta iifname . meta oifname { \(pairs.joined(separator: ", ")) }"
    }

    /// What makes a node send no faster than its links may, as a shell script for its namespace.
    func shaping(of node: Int) -> String {
        let interface = NamespaceNetwork.interface
        var lines = ["tc qdisc del dev \(interface) root 2>/dev/null || true"]
        let limits = capacity.filter { $0.key.from == node }.sorted { $0.key < $1.key }
        if !limits.isEmpty {
            // What no filter names is not held up.
            lines.append("tc qdisc add dev \(interface) root handle 1: htb default 0")
        }
        for (link, bytesPerSecond) in limits {
            // Class numbers are hexadecimal.
            let number = String(link.to + 1, radix: 16)
            let dev = "dev \(interface)"
            lines += [
                "tc class add \(dev) parent 1: classid 1:\(number) htb rate "
                    + "\(max(1, bytesPerSecond) * 8)bit",
                "tc qdisc add \(dev) parent 1:\(number) bfifo limit \(Self.queueByteLimit)",
                "tc filter add \(dev) parent 1: protocol ip u32 match ip dst "
                    + "\(NamespaceNetwork.address(of: link.to))/32 flowid 1:\(number)",
            ]
        }
        return lines.joined(separator: "\n")
    }
}
