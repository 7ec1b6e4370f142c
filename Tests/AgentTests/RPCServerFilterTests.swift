@testable import Agent
import EventLoop
import Foundation
import LlamaRPC
import Primitives
import Processes
import Sockets
import Synchronization
import Testing

/// A relay between a client and an RPC server that is nothing but a socket of the test; what its
/// process does is that of a real child, or what the test says.
@Suite struct RPCServerFilterTests {
    private final class Conversation: Sendable {
        let relay = Relay(name: "test-relay")
        let client: Int32
        let server: Int32
        let stalls = Mutex<[RPCCommand?]>([])
        let end = Mutex<RelayResult?>(nil)

        init(process: @escaping @Sendable () -> RPCStallWatch.Process) throws {
            let (nearClient, farClient) = try DetachedStream.pair()
            let (nearServer, farServer) = try DetachedStream.pair()
            client = farClient.descriptor
            server = farServer.descriptor
            relay.join(
                nearClient,
                nearServer,
                options: RelayOptions(makeFilter: { [self] in
                    RPCServerFilter(RPCStallWatch(), process: process) { command in
                        self.stalls.withLock { $0.append(command) }
                    }
                }),
                onEnd: { [self] result in end.withLock { $0 = result } }
            )
            try say(14, [UInt8](repeating: 0, count: 24))
            try answer([8, 0, 0, 0] + [UInt8](repeating: 0, count: 24))
        }

        deinit {
            relay.stop()
            Foundation.close(client)
            Foundation.close(server)
        }

        var hasEnded: Bool { end.withLock { $0 } != nil }

        /// A request, and its way to the server.
        func say(_ command: UInt8, _ payload: [UInt8]) throws {
            var bytes: [UInt8] = []
            RPCHeader.request(command: command, payloadByteCount: UInt64(payload.count))
                .encode(into: &bytes)
            try pass(bytes + payload, from: client, to: server)
        }

        func answer(_ payload: [UInt8]) throws {
            var bytes: [UInt8] = []
            RPCHeader.reply(payloadByteCount: UInt64(payload.count)).encode(into: &bytes)
            try pass(bytes + payload, from: server, to: client)
        }

        private func pass(_ bytes: [UInt8], from source: Int32, to sink: Int32) throws {
            try #require(unsafe write(source, bytes, bytes.count) == bytes.count)
            var arrived: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 4096)
            let deadline = ContinuousClock.now + .seconds(10)
            while arrived.count < bytes.count, ContinuousClock.now < deadline {
                let count = unsafe read(sink, &buffer, buffer.count)
                if count > 0 { arrived += buffer[..<count] } else { usleep(1000) }
            }
            #expect(arrived == bytes)
        }

        func ends(within limit: Duration) async throws -> Bool {
            let deadline = ContinuousClock.now + limit
            while ContinuousClock.now < deadline {
                if hasEnded { return true }
                try await Task.sleep(for: .milliseconds(5))
            }
            // Tests that compute may have kept this one from looking until now.
            return hasEnded
        }
    }

    @Test func `a server that does not answer and does not compute loses its client in time`()
        async throws
    {
        let conversation = try Conversation { .hasComputed(.seconds(3)) }
        try conversation.say(10, [1, 2, 3])
        #expect(try await !conversation.ends(within: .seconds(3)), "a compute is not answered")
        try conversation.say(8, [4])
        let asked = ContinuousClock.now
        #expect(try await conversation.ends(within: .seconds(3)))
        #expect(ContinuousClock.now - asked > .milliseconds(1900))
        #expect(conversation.stalls.withLock { $0 } == [.getTensor])
        #expect(conversation.end.withLock { $0?.ending } == .reset)
        var byte: UInt8 = 0
        // Cut, and not ended in order, or nothing at all: no byte of an answer.
        #expect(unsafe read(conversation.client, &byte, 1) <= 0)
    }

    @Test func `a client in the middle of a request, and an unknown command, are waited for`()
        async throws
    {
        let amid = try Conversation { .isStopped }
        var header: [UInt8] = []
        RPCHeader.request(command: 8, payloadByteCount: 10).encode(into: &header)
        #expect(unsafe write(amid.client, header, header.count) == header.count)
        let unknown = try Conversation { .isStopped }
        try unknown.say(20, [1])
        #expect(try await !amid.ends(within: .seconds(4)))
        #expect(!unknown.hasEnded)
    }

    /// CARAVAN_LONG_COMPUTATION=60 makes it a minute.
    @Test func `a real computation is left alone, and the same process stopped is not`()
        async throws
    {
        let text = ProcessInfo.processInfo.environment["CARAVAN_LONG_COMPUTATION"]
        let seconds = text.flatMap(Int.init) ?? 5
        let pid = Mutex<Int32?>(nil)
        let command = ChildCommand(
            executable: "/bin/sh",
            arguments: ["-c", "while :; do :; done"]
        )
        let child = ChildProcess.start(command, guardedBy: .none) { event in
            if case .started(let started) = event { pid.withLock { $0 = started } }
        }
        defer { child.signal(.kill) }
        while pid.withLock({ $0 }) == nil { try await Task.sleep(for: .milliseconds(5)) }
        let conversation = try Conversation {
            guard let pid = pid.withLock({ $0 }), let account = ProcessAccount.read(pid: pid)
            else { return .isUnknown }
            return account.state == .isStopped ? .isStopped : .hasComputed(account.processorTime)
        }
        try conversation.say(8, [4])
        #expect(try await !conversation.ends(within: .seconds(seconds)))
        try conversation.answer([5, 6])
        try conversation.say(8, [4])
        child.signal(.suspend)
        #expect(try await conversation.ends(within: .seconds(3)))
    }
}
