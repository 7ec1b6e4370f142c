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
