import EventLoop
import Primitives
import Runtime
import Sockets
import Wire

/// Finds other agents without any configuration: says where this agent is, and hears where others
/// are, on every interface.
final class Discovery: Sendable {
    init(
        loop: PollLoop, bind: IPAddress, endpoint: Endpoint, header: WireHeader,
        core: AgentCore, observer: AgentObserver
    ) {}
    func start() {}
    func stop() {}
}
