@testable import Agent
import Foundation
import Primitives
import SecureChannel
import Synchronization
import Testing

@Suite struct HelloFileTests {
    private func withFolder(_ body: (String) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory
            .appending(path: "caravan-hellos-\(UInt64.random(in: 0 ... .max))").path()
        try FileManager.default.createDirectory(
            atPath: folder,
            withIntermediateDirectories: true
        )
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await body(folder)
    }

    @Test func `what is kept is there in the next life, readable for its owner only`()
        async throws
    {
        try await withFolder { folder in
            let file = HelloFile(stateFolder: folder, .streams) { Issue.record("\($0)") }
            #expect(file.load() == HelloLedger.Kept())
            var ledger = HelloLedger(
                own: NodeID(1),
                kept: HelloLedger.Kept(heard: [(NodeID(2), 7), (NodeID(3), .max)]),
                time: 1000
            ) { _ in true }
            file.keep(&ledger)
            #expect(!ledger.isChanged)
            let deadline = ContinuousClock.now + .seconds(20)
            while file.load() == HelloLedger.Kept(), ContinuousClock.now < deadline {
                try await Task.sleep(for: .milliseconds(10))
            }
            let next = HelloFile(stateFolder: folder, .streams) { Issue.record("\($0)") }
            let kept = next.load()
            #expect(kept.heard.map(\.sender) == [NodeID(2), NodeID(3)])
            #expect(kept.heard.map(\.number) == [7, .max])
            #expect(kept.next > 1000)
            let attributes = try FileManager.default.attributesOfItem(atPath: file.path)
            #expect(attributes[.posixPermissions] as? Int == 0o600)
            // Streams and datagrams count for themselves.
            let other = HelloFile(stateFolder: folder, .datagrams) { Issue.record("\($0)") }
            #expect(other.load() == HelloLedger.Kept())
        }
    }

    @Test(arguments: ["", "{", #"{"format":2,"heard":[],"next":1}"#])
    func `a damaged file is told of and begins anew`(text: String) async throws {
        try await withFolder { folder in
            let problems = Mutex<[String]>([])
            let file = HelloFile(stateFolder: folder, .datagrams) { problem in
                problems.withLock { $0.append(problem) }
            }
            try Data(text.utf8).write(to: URL(filePath: file.path))
            #expect(file.load() == HelloLedger.Kept())
            #expect(problems.withLock { $0.count } == 1)
            #expect(problems.withLock { $0.first }?.contains(file.path) == true)
        }
    }
}

@Suite struct OwnEndpointsTests {
    private final class Machine: Sendable {
        let addresses = Mutex<[IPAddress]>([])
        let now = Mutex(Instant.origin)
        let asked = Mutex(0)

        func own(_ bind: String) throws -> OwnEndpoints {
            OwnEndpoints(
                bind: try #require(IPAddress(bind)),
                port: 5,
                now: { self.now.withLock { $0 } },
                list: {
                    self.asked.withLock { $0 += 1 }
                    return self.addresses.withLock { $0 }
                }
            )
        }
    }

    private func endpoint(_ text: String) throws -> Endpoint {
        try #require(Endpoint(text))
    }

    @Test func `one on a single address has that one, and its port`() throws {
        let own = try Machine().own("127.0.0.3")
        #expect(own.contains(try endpoint("127.0.0.3:5")))
        #expect(!own.contains(try endpoint("127.0.0.3:6")))
        #expect(!own.contains(try endpoint("127.0.0.1:5")))
        // A link-local address is named without the number of an interface.
        let linked = try Machine().own("fe80::3%2")
        #expect(linked.contains(try endpoint("[fe80::3]:5")))
    }

    @Test func `one on all addresses has the machine's, and follows them`() throws {
        let machine = Machine()
        machine.addresses.withLock { $0 = [.v4(0x0A00_0001), .v6(IPv6Bits(9), scope: 3)] }
        let own = try machine.own("0.0.0.0")
        #expect(own.contains(try endpoint("10.0.0.1:5")))
        #expect(own.contains(try endpoint("[::9]:5")))
        #expect(own.contains(try endpoint("127.0.0.77:5")))
        #expect(!own.contains(try endpoint("10.0.0.2:5")))
        machine.addresses.withLock { $0 = [.v4(0x0A00_0002)] }
        // Whoever names unknown addresses does not make it look again and again.
        for _ in 0..<10 { #expect(!own.contains(try endpoint("10.0.0.2:5"))) }
        #expect(machine.asked.withLock { $0 } == 1)
        machine.now.withLock { $0 = .origin + .seconds(2) }
        #expect(own.contains(try endpoint("10.0.0.2:5")))
        #expect(!own.contains(try endpoint("10.0.0.1:5")))
    }
}
