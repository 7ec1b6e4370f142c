import NIOCore
package import NIOPosix

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Android)
import Android
#elseif canImport(Darwin)
import Darwin
#endif

/// The one thread on which all of an agent's HTTP runs, away from the agent's own loop.
///
/// It lives as long as the process: a second thread bought nothing in measurements and costs
/// memory.
package enum GatewayLoop {
    package static let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    /// Keeps a channel's socket out of child processes.
    ///
    /// NIO opens and accepts sockets without close-on-exec, and a child that inherits the
    /// listener would hold the port after the agent's death. Called on the channel's loop.
    static func closeOnExec(_ channel: any Channel) {
        _ = try? channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
            of: NIOBSDSocket.Handle.self
        ) { socket in
            fcntl(socket, F_SETFD, FD_CLOEXEC)
        }
    }
}
