import Primitives
import Testing

struct IPAddressTests {
    @Test(arguments: [
        ("0.0.0.0", 0), ("127.0.0.1", 0x7F00_0001), ("255.255.255.255", .max),
        ("192.0.2.5", 0xC000_0205), ("1.20.255.0", 0x0114_FF00),
    ])
    func `an IPv4 address is read and printed`(text: String, bits: UInt32) {
        #expect(IPAddress(text) == .v4(bits))
        #expect(IPAddress.v4(bits).description == text)
    }

    /// The canonical forms, mostly the examples of RFC 5952.
    @Test(
        arguments: [
            ("::", 0), ("::1", 1), ("1::", 0x1 << 112),
            ("2001:db8::1", 0x2001_0DB8_0000_0000_0000_0000_0000_0001),
            ("2001:db8:0:1:1:1:1:1", 0x2001_0DB8_0000_0001_0001_0001_0001_0001),
            ("2001:0:0:1::1", 0x2001_0000_0000_0001_0000_0000_0000_0001),
            ("2001:db8::1:0:0:1", 0x2001_0DB8_0000_0000_0001_0000_0000_0001),
            ("2001:db8:aaaa:bbbb:cccc:dddd:eeee:1", 0x2001_0DB8_AAAA_BBBB_CCCC_DDDD_EEEE_0001),
            ("fe80::", 0xFE80 << 112), ("0:1::", 0x1 << 96),
            ("1:2:3:4:5:6:7:0", 0x1_0002_0003_0004_0005_0006_0007_0000),
            ("::ffff:192.0.2.5", 0xFFFF_C000_0205), ("::ffff:0.0.0.0", 0xFFFF_0000_0000),
            ("::1:c000:205", 0x1_C000_0205),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", .max),
        ] as [(String, UInt128)]
    )
    func `an IPv6 address in canonical form is read and printed`(text: String, bits: UInt128) {
        #expect(IPAddress(text) == .v6(IPv6Bits(bits)))
        #expect(IPAddress.v6(IPv6Bits(bits)).description == text)
    }

    /// Forms that RFC 4291 allows and RFC 5952 does not print.
    @Test(arguments: [
        ("2001:0db8::0001", "2001:db8::1"), ("2001:DB8:AAAA::", "2001:db8:aaaa::"),
        ("0:0:0:0:0:0:0:0", "::"), ("2001:db8:0:0:0:0:2:1", "2001:db8::2:1"),
        ("2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"), ("::192.0.2.5", "::c000:205"),
        ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"), ("::ffff:c000:205", "::ffff:192.0.2.5"),
        ("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"), ("fe80::1%0", "fe80::1"),
        ("fe80::1%7", "fe80::1%7"), ("fe80::1%4294967295", "fe80::1%4294967295"),
    ])
    func `other forms are read and printed canonically`(text: String, canonical: String) {
        #expect(IPAddress(text)?.description == canonical)
    }

    @Test(arguments: [
        "", " ", ".", "...", "1.2.3", "1.2.3.4.5", "1.2.3.", ".1.2.3", "1..2.3", "256.0.0.1",
        "1.2.3.1000", "01.2.3.4", "1.2.3.00", "+1.2.3.4", "-0.0.0.0", "1.2.3.-0", "1.2.3.4 ",
        " 1.2.3.4", "0x1.2.3.4", "a.b.c.d", "localhost", "١.2.3.4", "1.2.3.4\n", "1,2,3,4",
        ":", ":::", "1", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "::1::", ":1::", "1::2:",
        ":1:2:3:4:5:6:7", "1:2:3:4:5:6:7:", "1:2:3:4::5:6:7:8", "::12345", "::g", "::+1", "::-0",
        "::-1", ":: 1", "::1 ", "1.2.3.4::", "1.2.3.4::5", "::1.2.3.4:5", "::1.2.3", "::1.2.3.256",
        "1:2:3:4:5:6:7:1.2.3.4", "::1%", "::1%eth0", "::1%+2", "::1%-0", "::1%4294967296", "%1",
        "::1%1%2", "[::1]", "::1/64", "::\u{301}", "1:2:3:4:5:6:7:8\0",
    ])
    func `rubbish is no address`(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test func `what is printed can be read`() {
        var generator = SeededGenerator(seed: 4)
        for _ in 0..<5000 {
            // Few different groups, so that runs of zeros of all lengths occur.
            let groups = (0..<8).map { _ in
                [0, 0, 0, 0xFFFF, generator.next() & 0xFFFF][generator.below(5)]
            }
            let address = IPAddress.v6(
                IPv6Bits(groups.reduce(0) { $0 << 16 | UInt128($1) }),
                scope: UInt32(generator.below(3))
            )
            #expect(IPAddress(address.description) == address)
            let other = IPAddress.v4(UInt32(truncatingIfNeeded: generator.next()))
            #expect(IPAddress(other.description) == other)
        }
    }

    @Test(arguments: [
        ("127.0.0.1", true, false, false), ("127.255.255.255", true, false, false),
        ("128.0.0.1", false, false, false), ("0.0.0.0", false, true, false),
        ("169.254.0.1", false, false, true), ("169.255.0.1", false, false, false),
        ("::1", true, false, false), ("::2", false, false, false), ("::", false, true, false),
        ("fe80::1%2", false, false, true), ("febf:ffff::1", false, false, true),
        ("fec0::1", false, false, false), ("2001:db8::1", false, false, false),
    ])
    func `loopback, unspecified and link-local addresses are known`(
        text: String,
        isLoopback: Bool,
        isUnspecified: Bool,
        isLinkLocal: Bool
    ) throws {
        let address = try #require(IPAddress(text))
        #expect(address.isLoopback == isLoopback)
        #expect(address.isUnspecified == isUnspecified)
        #expect(address.isLinkLocal == isLinkLocal)
    }

    @Test func `addresses are ordered by family, bits and scope`() throws {
        let texts = ["0.0.0.0", "10.0.0.1", "255.0.0.0", "::", "::1", "fe80::1%1", "fe80::1%2"]
        let addresses = try texts.map { try #require(IPAddress($0)) }
        #expect(Array(addresses.reversed()).sorted() == addresses)
    }
}
