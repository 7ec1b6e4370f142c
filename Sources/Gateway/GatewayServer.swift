import FoundationEssentials
import HummingbirdCore
package import Logging
import NIOCore
import NIOPosix
import Primitives
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Android)
import Android
#elseif canImport(Darwin)
import Darwin
#endif

/// An agent's HTTP side: the OpenAI-compatible API, our own API and the dashboard.
package struct GatewayServer: Sendable {
    private let backend: any GatewayBackend
    private let host: String
    private let port: UInt16
    private let access: GatewayAccess
    private let limits: GatewayLimits
    private let logger: Logger
    private let onBound: @Sendable (UInt16) async -> Void

    /// Makes a server that listens once it runs.
    ///
    /// `host` is an address of this machine, `0.0.0.0` or `::` for all of them; port 0 lets the
    /// system choose, and `onBound` is told which.
    package init(
        backend: any GatewayBackend,
        host: String,
        port: UInt16,
        tokens: any TokenVerifier = NoTokens(),
        isOpen: Bool = false,
        limits: GatewayLimits = GatewayLimits(),
        logger: Logger,
        onBound: @escaping @Sendable (UInt16) async -> Void = { _ in }
    ) {
        self.backend = backend
        self.host = host
        self.port = port
        access = GatewayAccess(tokens: tokens, isOpen: isOpen)
        self.limits = limits
        self.logger = logger
        self.onBound = onBound
    }

    /// Serves until its task is cancelled or, in a `ServiceGroup`, is asked to shut down.
    ///
    /// Then it accepts no more, ends what streams with a last event, lets short answers finish,
    /// and returns within `GatewayLimits.shutdownTimeLimit`.
    ///
    /// - Throws: `GatewayServerError` if it cannot listen.
    package func run() async throws {
        let responder = GatewayResponder(
            backend: backend,
            access: access,
            limits: limits,
            heldBodies: HeldBodies(byteLimit: limits.heldBodyByteLimit),
            startedAt: Int(Date().timeIntervalSince1970)
        )
        let server = Server(
            childChannelSetup: GatewayChannel(responder: responder),
            configuration: ServerConfiguration(
                address: .hostname(host, port: Int(port)),
                availableConnectionsDelegate: .maximum(limits.connectionLimit, logger: logger)
            ),
            onServerRunning: { await didBind($0) },
            eventLoopGroup: GatewayLoop.group,
            logger: logger
        )
        // Cancelling the server itself would cut every answer off. Its own way to stop lets the
        // connections end in order.
        let serving = Task { try await server.run() }
        do {
            try await withTaskCancellationHandler {
                try await serving.value
            } onCancel: {
                Task { try? await server.shutdownGracefully() }
            }
        } catch let error as IOError {
            throw GatewayServerError(error, host: host, port: port)
        } catch  where Task.isCancelled {
            // Stopped before it listened.
        }
    }

    private static func inURL(_ host: String) -> String {
        host.contains(":") ? "[\(host)]" : host
    }

    private func didBind(_ channel: any Channel) async {
        try? await channel.eventLoop.submit { GatewayLoop.closeOnExec(channel) }.get()
        let port = UInt16(channel.localAddress?.port ?? 0)
        backend.log(
            LogRecord(
                "gateway.listening",
                .info,
                "HTTP API and dashboard at http://\(Self.inURL(host)):\(port)",
                ["host": .text(host), "port": .integer(Int64(port))]
            )
        )
        await onBound(port)
    }
}

/// Why a gateway cannot listen.
package enum GatewayServerError: Error, Equatable, CustomStringConvertible {
    case portTaken(host: String, port: UInt16)
    case addressNotHere(host: String)
    case notAllowed(port: UInt16)
    case failed(host: String, port: UInt16, errno: Int32)

    init(_ error: IOError, host: String, port: UInt16) {
        self =
            switch error.errnoCode {
            case EADDRINUSE: .portTaken(host: host, port: port)
            case EADDRNOTAVAIL: .addressNotHere(host: host)
            case EACCES: .notAllowed(port: port)
            default: .failed(host: host, port: port, errno: error.errnoCode)
            }
    }

    package var description: String {
        switch self {
        case .portTaken(let host, let port):
            """
            port \(port) on \(host) is taken, perhaps by another agent: stop that program, or \
            give this agent another HTTP port
            """
        case .addressNotHere(let host):
            "\(host) is no address of this machine: use 127.0.0.1, 0.0.0.0 or one of its own"
        case .notAllowed(let port):
            "port \(port) needs rights this user does not have: use one above 1023"
        case .failed(let host, let port, let errno):
            "cannot listen on \(host):\(port) (system error \(errno))"
        }
    }
}
