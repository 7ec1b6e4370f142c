import Testing

@testable import Namespaces

@Suite struct LinkRulesTests {
    @Test func `links that are closed are matched by the ports of both ends`() {
        var rules = LinkRules()
        rules.blocked = [DirectedLink(from: 1, to: 0), DirectedLink(from: 0, to: 2)]
        #expect(
            rules.firewall.contains(
                #"meta iifname . meta oifname { "n1" . "n3", "n2" . "n1" } counter drop"#
            )
        )
    }

    @Test func `shares that are lost are rules of their own, and a closed link needs none`() {
        var rules = LinkRules()
        let first = DirectedLink(from: 0, to: 1)
        let second = DirectedLink(from: 1, to: 0)
        let third = DirectedLink(from: 0, to: 2)
        rules.loss = [first: 0.3, second: 0.3, third: 1, DirectedLink(from: 2, to: 0): 0]
        #expect(
            rules.firewall.contains(
                #""n1" . "n2", "n2" . "n1" } numgen random mod 1000000 < 300000"#
            )
        )
        #expect(rules.firewall.contains(#"{ "n1" . "n3" } numgen random mod 1000000 < 1000000"#))
        #expect(!rules.firewall.contains(#""n3" . "n1""#))
        rules.blocked = [first, second]
        #expect(!rules.firewall.contains("300000"))
    }

    @Test func `a link with a capacity gets a class of its own, and other nodes none`() {
        var rules = LinkRules()
        rules.capacity = [DirectedLink(from: 0, to: 11): 4000]
        #expect(rules.shaping(of: 0).contains("classid 1:c htb rate 32000bit"))
        #expect(rules.shaping(of: 0).contains("match ip dst 10.77.0.12/32 flowid 1:c"))
        #expect(rules.shaping(of: 1) == LinkRules().shaping(of: 1))
    }
}
