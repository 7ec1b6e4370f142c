import Primitives

/// Where agents are reached that are not reached where they say they are.
///
/// An agent tells one address, and a device may be on several networks, or on one whose IPv4 or
/// IPv6 works between some devices only. Beacons and datagrams that come from another address than
/// their sender tells show another place. It is used while nothing comes from the address itself,
/// or no stream to it can be opened.
///
/// Rules alone: no sockets, and time is an argument.
struct Detours {
    /// How many agents may have one; a network may be full of other people's.
    static let limit = 256
    /// Whoever was not seen at a place for so long is not there any more: beacons come every
    /// 30 s at least.
    static let lifetime: Duration = .seconds(105)
    /// An address from which something came within this works; probes come every 10 s at least.
    static let silenceLimit: Duration = .seconds(40)
    /// For so long a stream that could not be opened speaks against an address.
    static let failureLimit: Duration = .seconds(60)

    /// What is known of one of two ways to an agent.
    private struct Way {
        var heard: Instant?
        var failed: Instant?

        func isHeard(at now: Instant) -> Bool {
            heard.map { now - $0 < Detours.silenceLimit } ?? false
        }

        func hasFailed(at now: Instant) -> Bool {
            failed.map { now - $0 < Detours.failureLimit } ?? false
        }

        func works(at now: Instant) -> Bool { isHeard(at: now) && !hasFailed(at: now) }
    }

    private struct Entry {
        var direct = Way()
        var other = Way()
        /// From where its datagrams come.
        var place: Endpoint
        /// When it was last seen there.
        var seen: Instant
    }

    /// By the endpoint that the agent tells.
    private var entries: [Endpoint: Entry] = [:]
    private var told: [Endpoint: Endpoint] = [:]

    var isEmpty: Bool { entries.isEmpty }

    // MARK: - What is seen

    /// Something of the agent that tells one endpoint came from a place.
    mutating func seen(_ endpoint: Endpoint, at place: Endpoint, _ now: Instant) {
        guard place.address != endpoint.address else {
            entries[endpoint]?.direct.heard = now
            return
        }
        if var entry = entries[endpoint] {
            // Of several places the one that was there first stays, while it works.
            if entry.place != place {
                let isUsable = entry.other.works(at: now)
                guard !isUsable else { return }
                told[entry.place] = nil
                entry.place = place
                entry.other = Way()
            }
            entry.other.heard = now
            entry.seen = now
            entries[endpoint] = entry
        } else {
            makeRoom(now)
            guard entries.count < Self.limit else { return }
            entries[endpoint] = Entry(other: Way(heard: now), place: place, seen: now)
        }
        told[place] = endpoint
    }

    /// A datagram came from there; false if nothing is known of the address.
    mutating func heard(from source: Endpoint, _ now: Instant) -> Bool {
        if let endpoint = told[source] {
            entries[endpoint]?.other.heard = now
            entries[endpoint]?.seen = now
            return true
        }
        guard entries[source] != nil else { return false }
        entries[source]?.direct.heard = now
        return true
    }

    /// A stream to an agent, dialled at the address that it tells or at its other place, has come
    /// to stand, or could not.
    mutating func dialled(_ endpoint: Endpoint, at dialled: Endpoint, stood: Bool, _ now: Instant) {
        guard var entry = entries[endpoint] else { return }
        func noting(_ way: Way) -> Way {
            stood ? Way(heard: now, failed: nil) : Way(heard: way.heard, failed: now)
        }
        if dialled == endpoint {
            entry.direct = noting(entry.direct)
        } else {
            entry.other = noting(entry.other)
        }
        entries[endpoint] = entry
    }

    private mutating func makeRoom(_ now: Instant) {
        guard entries.count >= Self.limit else { return }
        for (endpoint, entry) in entries where now - entry.seen >= Self.lifetime {
            told[entry.place] = nil
            entries[endpoint] = nil
        }
    }

    // MARK: - What follows

    /// Where datagrams for an agent go: to the address that it tells, to its other place, or to
    /// both while it is not known which works.
    func places(of endpoint: Endpoint, _ now: Instant) -> [Endpoint] {
        guard let entry = current(endpoint, now), !entry.direct.works(at: now) else {
            return [endpoint]
        }
        let isSilent = !entry.direct.isHeard(at: now)
        return isSilent && entry.other.isHeard(at: now)
            ? [entry.place] : [endpoint, entry.place]
    }

    /// Where a stream to an agent is dialled.
    func dialPlace(of endpoint: Endpoint, _ now: Instant) -> Endpoint {
        guard let entry = current(endpoint, now), !entry.direct.works(at: now) else {
            return endpoint
        }
        // The other port may be one that a router made for datagrams.
        let place = Endpoint(address: entry.place.address, port: endpoint.port)
        guard let failed = entry.other.failed, entry.other.hasFailed(at: now) else { return place }
        // Neither works: each in turn.
        return failed > entry.direct.failed ?? .origin ? endpoint : place
    }

    /// The agent that is reached at a place, by the endpoint that it tells.
    func owner(of place: Endpoint) -> Endpoint { told[place] ?? place }

    /// The place that is used for an agent instead of the one that it tells, if there is one.
    func detour(to endpoint: Endpoint, _ now: Instant) -> Endpoint? {
        let places = places(of: endpoint, now)
        return places.contains(endpoint) ? nil : places.first
    }

    private func current(_ endpoint: Endpoint, _ now: Instant) -> Entry? {
        guard let entry = entries[endpoint], now - entry.seen < Self.lifetime else { return nil }
        return entry
    }
}
