import Foundation
import Primitives
import Processes

/// What went over the agents' port, as somebody on the network sees it.
struct Capture {
    struct Datagram {
        let source: Endpoint
        let destination: Endpoint
        let bytes: [UInt8]
    }

    /// All that one side of a TCP stream sent.
    struct Stream {
        let source: Endpoint
        let destination: Endpoint
        var bytes: [UInt8]
    }

    private(set) var datagrams: [Datagram] = []
    private(set) var streams: [Stream] = []
    /// How many IPv4 packets there were, those without payloads included.
    private(set) var packetCount = 0
    /// Every payload, in order.
    private(set) var payloads: [[UInt8]] = []

    /// Runs something while everything on the agents' port of a network is recorded.
    static func during(
        _ network: IPAddress,
        _ body: () async throws -> Void
    ) async throws -> Capture {
        try await during("port 52414 and net \(network)/24", on: "lo", body)
    }

    /// Runs something while what a filter lets through is recorded.
    ///
    /// - Parameter placed: where tcpdump runs.
    static func during(
        _ filter: String,
        on interface: String,
        placed: (ChildCommand) -> ChildCommand = { $0 },
        _ body: () async throws -> Void
    ) async throws -> Capture {
        let path = TestFolder.path + "/capture-\(UInt32.random(in: 0...UInt32.max)).pcap"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let words = ["-i", interface, "-U", "-s", "0", "-B", "16384", "-w", path, filter]
        let dump = RunningProgram(
            placed(ChildCommand(executable: "/usr/bin/tcpdump", arguments: words))
        )
        try await wait("tcpdump listens", within: .seconds(10)) {
            dump.lines.contains { $0.contains("listening on") }
        }
        do {
            try await body()
        } catch {
            dump.signal(.kill)
            throw error
        }
        // What was seen last may still be in its buffer.
        try await Task.sleep(for: .seconds(1))
        dump.signal(.terminate)
        _ = try await dump.end()
        return try Capture(pcap: [UInt8](Data(contentsOf: URL(filePath: path))))
    }

    /// Reads a capture of Ethernet frames with IPv4 in them.
    private init(pcap: [UInt8]) throws {
        func integer(_ offset: Int, _ count: Int) -> Int {
            (0..<count).reduce(0) { $0 | Int(pcap[offset + $1]) << (8 * $1) }
        }
        guard pcap.count >= 24, integer(0, 4) == 0xA1B2_C3D4, integer(20, 4) == 1 else {
            throw Problem("tcpdump wrote no capture of Ethernet frames")
        }
        var offset = 24
        while offset + 16 <= pcap.count {
            let count = integer(offset + 8, 4)
            let start = offset + 16
            guard start + count <= pcap.count else { break }
            take(pcap[(start + 14)..<(start + count)])
            offset = start + count
        }
    }

    private mutating func take(_ packet: ArraySlice<UInt8>) {
        let bytes = Array(packet)
        func number(_ offset: Int, _ count: Int) -> Int {
            (0..<count).reduce(0) { $0 << 8 | Int(bytes[offset + $1]) }
        }
        guard bytes.count >= 28, bytes[0] >> 4 == 4 else { return }
        packetCount += 1
        let header = Int(bytes[0] & 15) * 4
        let end = min(bytes.count, number(2, 2))
        func endpoint(_ address: Int, _ port: Int) -> Endpoint {
            Endpoint(
                address: .v4(UInt32(number(address, 4))),
                port: UInt16(number(header + port, 2))
            )
        }
        let (source, destination) = (endpoint(12, 0), endpoint(16, 2))
        switch bytes[9] {
        case 17:
            let payload = Array(bytes[(header + 8)..<max(header + 8, end)])
            datagrams.append(
                Datagram(source: source, destination: destination, bytes: payload)
            )
            payloads.append(payload)
        case 6:
            let start = header + Int(bytes[header + 12] >> 4) * 4
            guard start < end else { return }
            let payload = Array(bytes[start..<end])
            payloads.append(payload)
            // Loopback neither loses nor reorders.
            let known = streams.lastIndex {
                $0.source == source && $0.destination == destination
            }
            if let known {
                streams[known].bytes += payload
            } else {
                streams.append(
                    Stream(source: source, destination: destination, bytes: payload)
                )
            }
        default: break
        }
    }

    /// How many payloads have the text in them.
    func count(of text: String) -> Int {
        let wanted = Data(text.utf8)
        return payloads.count { Data($0).range(of: wanted) != nil }
    }
}
