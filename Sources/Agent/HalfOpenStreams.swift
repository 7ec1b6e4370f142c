import Primitives

/// Streams from outside whose sender is not known yet, the oldest first.
///
/// Whoever says nothing must not keep out those who have something to say: an address has a few
/// places, and when all are taken, the one that has most of them gives its oldest up.
struct HalfOpenStreams<Stream: AnyObject> {
    /// In all.
    static var limit: Int { 64 }
    /// Of one address; a master opens several streams to a worker at a time.
    static var addressLimit: Int { 16 }

    private struct Entry {
        let stream: Stream
        let place: IPAddress
    }

    private var entries: [Entry] = []

    var count: Int { entries.count }

    /// Where streams count as from one sender: an IPv6 network gives each device many addresses.
    ///
    /// Link-local addresses all begin alike.
    private static func place(of address: IPAddress) -> IPAddress {
        guard case .v6(let bits, let scope) = address, !address.isLinkLocal else {
            return address
        }
        return .v6(IPv6Bits(high: bits.high, low: 0), scope: scope)
    }

    func hasRoom(for address: IPAddress) -> Bool {
        let place = Self.place(of: address)
        return entries.count { $0.place == place } < Self.addressLimit
    }

    /// Takes a stream, and returns the one that has to go for it.
    mutating func add(_ stream: Stream, from address: IPAddress) -> Stream? {
        var given: Stream?
        if entries.count >= Self.limit {
            let counts = Dictionary(grouping: entries, by: \.place).mapValues(\.count)
            let most = counts.values.max() ?? 0
            if let oldest = entries.firstIndex(where: { counts[$0.place] == most }) {
                given = entries.remove(at: oldest).stream
            }
        }
        entries.append(Entry(stream: stream, place: Self.place(of: address)))
        return given
    }

    mutating func remove(_ stream: Stream) {
        entries.removeAll { $0.stream === stream }
    }
}
