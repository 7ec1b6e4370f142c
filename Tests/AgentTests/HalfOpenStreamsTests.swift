import Primitives
import Testing

@testable import Agent

struct HalfOpenStreamsTests {
    private final class Stream {}

    private static func address(_ number: UInt32) -> IPAddress { .v4(0x0A00_0000 + number) }

    @Test func `one address has a few places, and nobody else loses by it`() {
        var streams = HalfOpenStreams<Stream>()
        let stranger = Self.address(1)
        while streams.hasRoom(for: stranger) {
            #expect(streams.add(Stream(), from: stranger) == nil)
        }
        #expect(streams.count == HalfOpenStreams<Stream>.addressLimit)
        #expect(streams.hasRoom(for: Self.address(2)))
    }

    @Test func `when all places are taken, who has most of them gives the oldest up`() {
        var streams = HalfOpenStreams<Stream>()
        var first: [UInt32: Stream] = [:]
        for number in UInt32(1)...4 {
            let own = Stream()
            first[number] = own
            _ = streams.add(own, from: Self.address(number))
        }
        // The third address takes most.
        while streams.hasRoom(for: Self.address(3)) {
            _ = streams.add(Stream(), from: Self.address(3))
        }
        var other: UInt32 = 10
        while streams.count < HalfOpenStreams<Stream>.limit {
            #expect(streams.add(Stream(), from: Self.address(other)) == nil)
            other += 1
        }
        #expect(streams.add(Stream(), from: Self.address(9)) === first[3])
        #expect(streams.count == HalfOpenStreams<Stream>.limit)
        if let gone = first[1] { streams.remove(gone) }
        #expect(streams.count == HalfOpenStreams<Stream>.limit - 1)
        #expect(streams.add(Stream(), from: Self.address(8)) == nil)
    }

    @Test func `addresses of one IPv6 network count as one`() {
        var streams = HalfOpenStreams<Stream>()
        for number in 0..<UInt64(HalfOpenStreams<Stream>.addressLimit) {
            let address = IPAddress.v6(IPv6Bits(high: 0x2001_0DB8, low: number))
            #expect(streams.hasRoom(for: address))
            _ = streams.add(Stream(), from: address)
        }
        #expect(!streams.hasRoom(for: .v6(IPv6Bits(high: 0x2001_0DB8, low: .max))))
        #expect(streams.hasRoom(for: .v6(IPv6Bits(high: 0x2001_0DB9, low: 0))))
    }
}
