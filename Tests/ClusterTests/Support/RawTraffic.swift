import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Primitives

/// Bytes that no well-meaning program sends.
enum RawTraffic {
    private static let group = MultiThreadedEventLoopGroup.singleton

    /// Sends datagrams from one socket to one place, as fast as they go.
    static func send(_ datagrams: [[UInt8]], to target: Endpoint) async throws {
        let address = try SocketAddress(ipAddress: "\(target.address)", port: Int(target.port))
        let channel = try await DatagramBootstrap(group: group)
            .bind(host: "127.0.0.1", port: 0).get()
        for datagram in datagrams {
            let envelope = AddressedEnvelope(
                remoteAddress: address,
                data: ByteBuffer(bytes: datagram)
            )
            // One that the system has no room for is as good as lost on the way.
            try? await channel.writeAndFlush(envelope).get()
        }
        try await channel.close().get()
    }

    /// A TCP connection; what the other side says is dropped.
    static func connect(to target: Endpoint) async throws -> any Channel {
        try await ClientBootstrap(group: group).connectTimeout(.seconds(3))
            .connect(host: "\(target.address)", port: Int(target.port)).get()
    }

    /// Connects, sends, and closes after a moment; being refused or cut off is fine.
    static func send(_ bytes: [UInt8], to target: Endpoint) async throws {
        try Task.checkCancellation()
        guard let channel = try? await connect(to: target) else { return }
        try? await channel.writeAndFlush(ByteBuffer(bytes: bytes)).get()
        try? await Task.sleep(for: .milliseconds(5))
        try? await channel.close().get()
    }

    /// Opens many connections that say nothing; those that are not taken are left out.
    static func idleConnections(
        _ count: Int,
        to target: Endpoint
    ) async throws -> [any Channel] {
        var channels: [any Channel] = []
        for _ in 0..<count {
            try Task.checkCancellation()
            if let channel = try? await connect(to: target) { channels.append(channel) }
        }
        return channels
    }
}

extension RawTraffic {
    private final class Listener: ChannelInboundHandler, Sendable {
        typealias InboundIn = NIOAny
        let count = NIOLockedValueBox(0)

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            count.withLockedValue { $0 += 1 }
        }
    }

    /// Sends datagrams from one socket, and counts what comes back within a second.
    static func answers(to datagrams: [(bytes: [UInt8], target: Endpoint)]) async throws -> Int {
        let listener = Listener()
        let channel = try await DatagramBootstrap(group: group)
            .channelInitializer { $0.pipeline.addHandler(listener) }
            .bind(host: "127.0.0.1", port: 0).get()
        for (bytes, target) in datagrams {
            let address = try SocketAddress(
                ipAddress: "\(target.address)",
                port: Int(target.port)
            )
            let envelope = AddressedEnvelope(
                remoteAddress: address,
                data: ByteBuffer(bytes: bytes)
            )
            try? await channel.writeAndFlush(envelope).get()
        }
        try await Task.sleep(for: .seconds(1))
        try await channel.close().get()
        return listener.count.withLockedValue { $0 }
    }

    /// Connects, sends, and counts the pieces that come back within a moment.
    static func answers(toStream bytes: [UInt8], target: Endpoint) async throws -> Int {
        let listener = Listener()
        let channel = try await ClientBootstrap(group: group).connectTimeout(.seconds(3))
            .channelInitializer { $0.pipeline.addHandler(listener) }
            .connect(host: "\(target.address)", port: Int(target.port)).get()
        try? await channel.writeAndFlush(ByteBuffer(bytes: bytes)).get()
        try await Task.sleep(for: .milliseconds(200))
        try? await channel.close().get()
        return listener.count.withLockedValue { $0 }
    }
}
