import EventLoop
import LayerPlacement
import Primitives
import Runtime
import Supervision

/// A child process of an agent: goes on while the agent stalls, and ends with it.
class SimulatedProcess: ChildHandle, @unchecked Sendable {
    unowned let host: SimulatedHost
    let pid: Int32
    private(set) var isAlive = true
    private let loop: SimulatedLoop
    /// Nil once it is gone: it and its agent hold each other, and no run may leave them behind.
    private var onEvent: ((ChildProcessEvent) -> Void)?

    /// From a pipe's end to the agent's loop.
    private static let pipeDelay: Int64 = 200_000
    private static let endTime: Duration = .milliseconds(8)

    init(
        _ world: SimulatedWorld,
        onEvent: @escaping @Sendable (ChildProcessEvent) -> Void
    ) {
        host = world.host
        loop = world.loop
        self.onEvent = onEvent
        pid = world.simulation.nextProcess()
        host.processes.append(self)
    }

    var simulation: Simulation { host.simulation }

    func tell(_ event: ChildProcessEvent) {
        if let onEvent { tell(event, onEvent) }
    }

    private func tell(
        _ event: ChildProcessEvent,
        _ onEvent: @escaping (ChildProcessEvent) -> Void
    ) {
        simulation.schedule(
            .action(loop) { onEvent(event) },
            after: Self.pipeDelay,
            node: host.index
        )
    }

    func say(_ line: String) {
        tell(.line(line))
    }

    /// Does something later, unless it is dead by then.
    func after(_ delay: Duration, _ action: @escaping () -> Void) {
        simulation.outside(after: delay, node: host.index) { [self] in
            if isAlive { action() }
        }
    }

    func exit(_ end: ChildEnd) {
        guard isAlive else { return }
        let onEvent = onEvent
        vanish()
        if let onEvent { tell(.exited(end), onEvent) }
    }

    /// Ends without a word; its system closes what it had open.
    func vanish() {
        guard isAlive else { return }
        isAlive = false
        host.processes.removeAll { $0 === self }
        for (port, listener) in host.listeners.sorted(by: { $0.key < $1.key })
        where listener.belongs(to: self) {
            host.listeners[port] = nil
        }
        for id in host.streams.keys.sorted() {
            guard let stream = host.streams[id], stream.belongs(to: self) else { continue }
            stream.vanish(tellsPeer: true)
        }
        ended()
        onEvent = nil
    }

    /// For what a subclass keeps.
    func ended() {}

    func listen(
        on port: UInt16,
        hasRoom: @escaping () -> Bool = { true },
        accept: @escaping (SimulatedStream) -> Void
    ) -> Bool {
        guard host.listeners[port] == nil else { return false }
        host.listeners[port] = SimulatedListener(
            owner: .process(self),
            hasRoom: hasRoom,
            accept: accept
        )
        return true
    }

    // MARK: - ChildHandle

    func terminate() {
        after(Self.endTime) { [self] in exit(.exited(code: 0)) }
    }

    func kill() {
        after(.milliseconds(1)) { [self] in exit(.signalled(9)) }
    }
}

extension StreamOwner {
    fileprivate func isProcess(_ process: SimulatedProcess) -> Bool {
        switch self {
        case .agent: false
        case .process(let own): own === process
        }
    }
}

extension SimulatedListener {
    fileprivate func belongs(to process: SimulatedProcess) -> Bool {
        owner.isProcess(process)
    }
}

extension SimulatedStream {
    fileprivate func belongs(to process: SimulatedProcess) -> Bool {
        owner.isProcess(process)
    }
}

extension SimulatedWorld: ChildSpawner {
    func spawn(
        _ launch: ChildLaunch,
        onEvent: @escaping @Sendable (ChildProcessEvent) -> Void
    ) -> any ChildHandle {
        switch launch {
        case .rpcServer(let endpoint):
            let session = host.core?.placement.assumeIsolated { $0.worker.service?.session }
            let server = SimulatedRPCServer(self, for: session, onEvent: onEvent)
            server.start(on: endpoint.port)
            return server
        case .llamaServer(let launch, let endpoint):
            let session = host.core?.placement.assumeIsolated { $0.launch.attempt?.session }
            let server = SimulatedLlamaServer(self, launch, for: session, onEvent: onEvent)
            server.start(on: endpoint.port)
            return server
        }
    }
}
