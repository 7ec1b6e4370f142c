import Primitives
import Testing

@testable import Agent

/// Where an agent is reached that is not reached where it says it is.
struct DetoursTests {
    private static let told = Endpoint(address: .v4(0x0A4D_0001), port: 52414)
    private static let link = Endpoint(
        address: .v6(IPv6Bits(high: 0xFE80 << 48, low: 1)),
        port: 52414
    )
    private static let other = Endpoint(address: .v4(0xC0A8_0101), port: 52414)

    private static func at(_ seconds: Int) -> Instant { .origin + .seconds(seconds) }

    @Test func `an agent is reached where it says it is, unless something else was seen`() {
        var detours = Detours()
        #expect(detours.places(of: Self.told, Self.at(0)) == [Self.told])
        #expect(detours.dialPlace(of: Self.told, Self.at(0)) == Self.told)
        detours.seen(Self.told, at: Self.told, Self.at(0))
        #expect(detours.isEmpty)
    }

    @Test func `what only comes from elsewhere is answered there`() {
        var detours = Detours()
        detours.seen(Self.told, at: Self.link, Self.at(0))
        #expect(detours.places(of: Self.told, Self.at(1)) == [Self.link])
        #expect(detours.dialPlace(of: Self.told, Self.at(1)) == Self.link)
        #expect(detours.detour(to: Self.told, Self.at(1)) == Self.link)
        #expect(detours.owner(of: Self.link) == Self.told)
    }

    @Test func `once something comes from the address itself, it is used again`() {
        var detours = Detours()
        detours.seen(Self.told, at: Self.link, Self.at(0))
        let isKnown = detours.heard(from: Self.told, Self.at(5))
        #expect(isKnown)
        #expect(detours.places(of: Self.told, Self.at(6)) == [Self.told])
        #expect(detours.dialPlace(of: Self.told, Self.at(6)) == Self.told)
        #expect(detours.detour(to: Self.told, Self.at(6)) == nil)
        // It falls silent, while beacons still come the other way.
        detours.seen(Self.told, at: Self.link, Self.at(44))
        #expect(detours.places(of: Self.told, Self.at(46)) == [Self.link])
    }

    @Test func `while it is not known which way works, datagrams take both`() {
        var detours = Detours()
        detours.seen(Self.told, at: Self.link, Self.at(0))
        // Nothing came for long over either.
        #expect(detours.places(of: Self.told, Self.at(50)) == [Self.told, Self.link])
        // Its datagrams come, and ours do not get there: no stream could be opened.
        _ = detours.heard(from: Self.told, Self.at(50))
        #expect(detours.places(of: Self.told, Self.at(51)) == [Self.told])
        detours.dialled(Self.told, at: Self.told, stood: false, Self.at(52))
        #expect(detours.places(of: Self.told, Self.at(53)) == [Self.told, Self.link])
        #expect(detours.dialPlace(of: Self.told, Self.at(53)) == Self.link)
        detours.dialled(Self.told, at: Self.told, stood: true, Self.at(54))
        #expect(detours.dialPlace(of: Self.told, Self.at(55)) == Self.told)
    }

    @Test func `streams that cannot be opened anywhere are tried at each place in turn`() {
        var detours = Detours()
        detours.seen(Self.told, at: Self.link, Self.at(0))
        var tried: [Endpoint] = []
        for second in 1..<6 {
            let place = detours.dialPlace(of: Self.told, Self.at(second))
            tried.append(place)
            detours.dialled(Self.told, at: place, stood: false, Self.at(second))
        }
        #expect(tried == [Self.link, Self.told, Self.link, Self.told, Self.link])
    }

    @Test func `a router's port for datagrams is none for streams`() {
        var detours = Detours()
        let mapped = Endpoint(address: Self.other.address, port: 4000)
        detours.seen(Self.told, at: mapped, Self.at(0))
        #expect(detours.places(of: Self.told, Self.at(1)) == [mapped])
        #expect(detours.dialPlace(of: Self.told, Self.at(1)) == Self.other)
    }

    @Test func `of two other places the one that works stays`() {
        var detours = Detours()
        detours.seen(Self.told, at: Self.link, Self.at(0))
        detours.seen(Self.told, at: Self.other, Self.at(1))
        #expect(detours.places(of: Self.told, Self.at(2)) == [Self.link])
        detours.dialled(Self.told, at: Self.link, stood: false, Self.at(3))
        detours.seen(Self.told, at: Self.other, Self.at(4))
        #expect(detours.places(of: Self.told, Self.at(5)) == [Self.other])
        #expect(detours.owner(of: Self.link) == Self.link)
    }

    @Test func `a place at which nobody was seen for long is forgotten`() {
        var detours = Detours()
        detours.seen(Self.told, at: Self.link, Self.at(0))
        #expect(detours.places(of: Self.told, Self.at(104)).count == 2)
        #expect(detours.places(of: Self.told, Self.at(105)) == [Self.told])
        for number in 0..<1000 as Range<UInt32> {
            let told = Endpoint(address: .v4(0x0B00_0000 + number), port: 1)
            detours.seen(told, at: Self.other, Self.at(200))
        }
        // Other people's agents have not taken all room for ever.
        detours.seen(Self.told, at: Self.link, Self.at(400))
        #expect(detours.places(of: Self.told, Self.at(400)) == [Self.link])
    }
}
