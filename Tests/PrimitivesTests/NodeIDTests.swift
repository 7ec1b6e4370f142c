import Primitives
import Testing

struct NodeIDTests {
    @Test(
        arguments: [
            ("00000000000000000000000000000000", 0), ("00000000000000000000000000000001", 1),
            ("0123456789abcdef0123456789abcdef", 0x0123_4567_89AB_CDEF_0123_4567_89AB_CDEF),
            ("ffffffffffffffffffffffffffffffff", .max),
        ] as [(String, UInt128)]
    )
    func `an identity is read and printed`(text: String, value: UInt128) {
        #expect(NodeID(text) == NodeID(value))
        #expect(NodeID(value).description == text)
        #expect(NodeID(text.uppercased()) == NodeID(value))
    }

    @Test func `people see the first eight digits`() {
        #expect(NodeID(0x0123_4567_89AB_CDEF_0123_4567_89AB_CDEF).short == "01234567")
        #expect(NodeID(1).short == "00000000")
    }

    @Test(arguments: [
        "", "0", "0123456789abcdef0123456789abcde", "0123456789abcdef0123456789abcdef0",
        "+123456789abcdef0123456789abcdef", "-0000000000000000000000000000000",
        "0123456789abcdeg0123456789abcdef", "0123456789abcdef 123456789abcdef",
        "0x23456789abcdef0123456789abcdef", "٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠",
    ])
    func `rubbish is no identity`(text: String) {
        #expect(NodeID(text) == nil)
    }

    @Test func `identities are ordered as numbers`() {
        #expect(NodeID(1) < NodeID(2))
        #expect(NodeID(UInt128.max >> 1) < NodeID(.max))
    }

    @Test func `a fresh identity takes all its bits from the generator`() {
        var generator = SeededGenerator(seed: 0)
        #expect(
            NodeID(using: &generator).description == "e220a8397b1dcdaf6e789e6aa1b965f4"
        )
    }

    @Test func `ballots are ordered by term, then by node`() {
        let ballots = [
            Ballot(term: 1, node: NodeID(1)), Ballot(term: 1, node: NodeID(2)),
            Ballot(term: 2, node: NodeID(0)),
        ]
        #expect(Array(ballots.reversed()).sorted() == ballots)
        #expect(ballots[0].description == "1/00000000")
    }
}
