import FoundationEssentials
import Gateway
import NIOCore
import Primitives
import Processes

// Small texts: of requests, of command lines, of streams of lines.
extension FuzzTarget {
    static let text: [FuzzTarget] = [
        FuzzTarget("route", "the target of an HTTP request, or its range") { bytes in
            _ = Route(path: bytes.text)
            _ = RequestQuery(of: bytes.text)
            if case .part(let range) = ByteRange(bytes.text, of: 1000) {
                try expect(!range.isEmpty && range.upperBound <= 1000, "\(range) is not in 1000")
            }
        },
        FuzzTarget("launch-request", "the body of a launch") { bytes in
            _ = try? JSONDecoder().decode(LaunchRequest.self, from: Data(bytes))
        },
        FuzzTarget("events", "server-sent events; the first byte cuts them up") { bytes in
            let whole = events([Array(bytes.dropFirst())])
            let cut = events(bytes.pieces)
            try expect(whole == cut, "the pieces in which events arrive change what they say")
            var framer = EventStreamFramer()
            let passed = bytes.pieces.flatMap { piece in
                framer.append(ByteBuffer(bytes: piece)).map { Array($0.readableBytesView) } ?? []
            }
            try expect(
                bytes.dropFirst().starts(with: passed),
                "what is passed on is not what came"
            )
        },
        FuzzTarget("output-lines", "what a child prints; the first byte cuts it up") { bytes in
            let whole = lines([Array(bytes.dropFirst())])
            try expect(whole == lines(bytes.pieces), "the pieces of an output change its lines")
        },
        FuzzTarget("addresses", "addresses, node ids, amounts, as people and files have them") {
            bytes in
            let text = bytes.text
            if let address = IPAddress(text) {
                try expect(IPAddress("\(address)") == address, "\(address) is read as another")
            }
            if let endpoint = Endpoint(text, defaultPort: 1) {
                try expect(Endpoint("\(endpoint)") == endpoint, "\(endpoint) is read as another")
            }
            if let node = NodeID(text) {
                try expect(NodeID("\(node)") == node, "\(node) is read as another")
            }
            _ = ByteCount(text).map { "\($0)" }
        },
    ]

    /// Nil if one was too long.
    private static func events(_ pieces: [[UInt8]]) -> [ServerSentEvent]? {
        var parser = ServerSentEventParser()
        var events: [ServerSentEvent] = []
        for piece in pieces {
            guard let complete = parser.append(piece) else { return nil }
            events += complete
        }
        return events
    }

    private static func lines(_ pieces: [[UInt8]]) -> [String] {
        var splitter = LineSplitter()
        var lines: [String] = []
        for piece in pieces { lines += splitter.append(piece.span) }
        return lines + (splitter.finish().map { [$0] } ?? [])
    }
}
