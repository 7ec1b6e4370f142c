import Gateway
import Namespaces
import Testing

extension ClusterTests {
    @Suite(.needsNamespaces) struct Namespaces {
        @Test func `machines of their own become one cluster, and miss one that is unplugged`()
            async throws
        {
            try await withNamespaces(3) { cluster in
                let first = cluster.add(discovers: false)
                let second = cluster.add(seeds: [first], discovers: false)
                let third = cluster.add(seeds: [first], discovers: false)
                let status = try await cluster.agree()
                #expect(
                    Set(status.members.map(\.address))
                        == ["10.77.0.1:52414", "10.77.0.2:52414", "10.77.0.3:52414"]
                )
                try await measured("two see that the third was unplugged") {
                    try await cluster.network.setPlugged(false, node: 2)
                    try await cluster.agree([first, second])
                }
                try await measured("three are one cluster again") {
                    try await cluster.network.setPlugged(true, node: 2)
                    try await cluster.agree([first, second, third])
                }
            }
        }

        @Test func `a link lets through what its rules say, in one direction`() async throws {
            try await withNamespaces(3) { cluster in
                let network = cluster.network
                /// How many of so many datagrams arrive, at a port that nobody listens on.
                func arrivals(_ from: Int, _ to: Int, of count: Int) async throws -> Int {
                    let counter = "awk '/^Udp: [0-9]/ { print $3 }' /proc/net/snmp"
                    let before = try await number(network.run(counter, on: to))
                    let target = "/dev/udp/\(network.address(of: to))/9"
                    // A refusal that comes back is an error of the next datagram.
                    let send = "for i in $(seq \(count)); do echo > \(target); done; true"
                    try await network.run("bash -c '\(send)'", on: from)
                    return try await number(network.run(counter, on: to)) - before
                }
                #expect(try await arrivals(0, 1, of: 10) == 10)
                var rules = LinkRules()
                rules.blocked = [DirectedLink(from: 1, to: 0)]
                rules.loss = [DirectedLink(from: 2, to: 0): 0.5]
                try await network.apply(rules, after: LinkRules())
                #expect(try await arrivals(1, 0, of: 10) == 0)
                #expect(try await arrivals(0, 1, of: 10) == 10)
                #expect(try await arrivals(1, 2, of: 10) == 10)
                #expect((60...140).contains(try await arrivals(2, 0, of: 200)))
                try await network.apply(LinkRules(), after: rules)
                #expect(try await arrivals(1, 0, of: 10) == 10)
                #expect(try await arrivals(2, 0, of: 100) == 100)
            }
        }

        private func number(_ text: String) throws -> Int {
            try #require(Int(text.filter { !$0.isWhitespace }))
        }
    }
}
