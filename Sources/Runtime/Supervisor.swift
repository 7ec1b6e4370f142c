import EventLoop
import LayerPlacement
import LlamaEngine

package import Primitives
import Supervision

/// What the RPC server of this device does, for whoever decides by it.
enum SupervisedServer: Sendable {
    case ready(instance: UInt64)
    case down
    case gaveUp(reason: String)
}

/// Keeps llama.cpp's programs on this device: `ggml-rpc-server` as a worker, `llama-server` as
/// the master.
package actor Supervisor {
    private nonisolated let world: World
    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        world.loop.executor
    }

    private let probes: StreamProbes
    private let ports: ServerEndpoints
    private var placement: Placement?
    private var generator: SeededGenerator
    private var rpc: Child
    private var llama: Child
    /// What the running llama-server was started for.
    private var llamaLaunch: (server: ServerLaunch, session: SessionID)?
    private var llamaOutput = LlamaServerOutput(workers: [])
    private var whenStopped: [@Sendable () -> Void] = []

    /// Where the programs of this device listen.
    package struct ServerEndpoints: Sendable, Equatable {
        /// The RPC server's own address; may be unspecified.
        package var rpc: Endpoint
        /// Where others reach the RPC server; with port 0, through this agent only.
        package var rpcExternal: Endpoint
        package var llama: Endpoint

        package init(rpc: Endpoint, rpcExternal: Endpoint, llama: Endpoint) {
            self.rpc = rpc
            self.rpcExternal = rpcExternal
            self.llama = llama
        }

        /// Where this machine reaches the RPC server.
        package var rpcInternal: Endpoint {
            rpc.address.isUnspecified ? Endpoint(address: .loopback, port: rpc.port) : rpc
        }
    }

    private struct Child {
        let kind: Kind
        var machine: ChildMachine
        var timers: LoopTimers<ChildTimer>
        var handle: (any ChildHandle)?
        /// Counts starts, so that news of an earlier process is not taken for the next one's.
        var run: UInt64 = 0
        var isProbing = false
    }

    enum Kind {
        case rpc
        case llama
    }

    private static let probeTimeout: Duration = .seconds(2)

    init(world: World, probes: StreamProbes, ports: ServerEndpoints) {
        self.world = world
        self.probes = probes
        self.ports = ports
        generator = SeededGenerator(seed: world.seed).derived(0x53_55_50)
        var rpcSpec = ChildSpec(
            name: "rpc-server",
            restart: .permanent,
            readinessTimeout: .seconds(15)
        )
        rpcSpec.stopGrace = .seconds(1)
        var llamaSpec = ChildSpec(name: "llama-server", restart: .temporary)
        llamaSpec.readinessInterval = .milliseconds(500)
        rpc = Child(
            kind: .rpc,
            machine: ChildMachine(rpcSpec),
            timers: LoopTimers(loop: world.loop)
        )
        llama = Child(
            kind: .llama,
            machine: ChildMachine(llamaSpec),
            timers: LoopTimers(loop: world.loop)
        )
    }

    func introduce(_ placement: Placement?) {
        self.placement = placement
    }

    // MARK: - Orders

    /// Starts the RPC server anew: what one holds belongs to another session.
    func startRPCServer() {
        world.observer.log(
            LogRecord(
                "worker.rpc.starting",
                .info,
                "STARTING RPC WORKER SERVER",
                ["endpoint": .text("\(ports.rpc)")]
            )
        )
        handle(.stop, .rpc)
        handle(.start, .rpc)
    }

    func stopRPCServer() {
        handle(.stop, .rpc)
    }

    func startLlamaServer(_ server: ServerLaunch, _ session: SessionID) {
        llamaLaunch = (server, session)
        handle(.stop, .llama)
        handle(.start, .llama)
    }

    func stopLlamaServer() {
        llamaLaunch = nil
        handle(.stop, .llama)
    }

    /// Whether llama-server answers, and where.
    var llamaEndpoint: Endpoint? {
        guard llamaLaunch != nil, case .ready = llama.machine.state else { return nil }
        return ports.llama
    }

    /// Stops everything, and completes when nothing runs.
    func stopAll(completion: @escaping @Sendable () -> Void) {
        whenStopped.append(completion)
        llamaLaunch = nil
        handle(.stop, .llama)
        handle(.stop, .rpc)
        checkStopped()
    }

    private func checkStopped() {
        guard !whenStopped.isEmpty, rpc.handle == nil, llama.handle == nil else { return }
        let completions = whenStopped
        whenStopped = []
        for completion in completions { completion() }
    }

    // MARK: - Children

    private func handle(_ input: ChildInput, _ kind: Kind) {
        var effects: [ChildEffect] = []
        switch kind {
        case .rpc: rpc.machine.handle(input, at: world.loop.now, effects: &effects)
        case .llama: llama.machine.handle(input, at: world.loop.now, effects: &effects)
        }
        for effect in effects { perform(effect, kind) }
    }

    private func perform(_ effect: ChildEffect, _ kind: Kind) {
        switch effect {
        case .spawn: spawn(kind)
        case .terminate: child(kind).handle?.terminate()
        case .kill: child(kind).handle?.kill()
        case .probe: probe(kind)
        case .setTimer(let timer, let delay):
            change(kind) { child in
                child.timers.set(timer, after: delay) { [self] in
                    assumeIsolated { $0.fired(timer, kind) }
                }
            }
        case .cancelTimer(let timer): change(kind) { $0.timers.cancel(timer) }
        case .emit(let event): tell(event, kind)
        }
    }

    private func child(_ kind: Kind) -> Child {
        switch kind {
        case .rpc: rpc
        case .llama: llama
        }
    }

    private func change(_ kind: Kind, _ body: (inout Child) -> Void) {
        switch kind {
        case .rpc: body(&rpc)
        case .llama: body(&llama)
        }
    }

    private func fired(_ timer: ChildTimer, _ kind: Kind) {
        change(kind) { $0.timers.fired(timer) }
        handle(.timer(timer), kind)
    }

    private func spawn(_ kind: Kind) {
        let launch: ChildLaunch
        switch kind {
        case .rpc: launch = .rpcServer(ports.rpc)
        case .llama:
            guard let server = llamaLaunch?.server else { return }
            llamaOutput = LlamaServerOutput(workers: server.workers.map(\.description))
            launch = .llamaServer(server, ports.llama)
        }
        change(kind) { $0.run += 1 }
        let run = child(kind).run
        let session = llamaLaunch?.session
        let handle = world.children.spawn(launch) { [self] event in
            assumeIsolated { $0.happened(event, kind, run: run, session: session) }
        }
        change(kind) { $0.handle = handle }
    }

    private func happened(
        _ event: ChildProcessEvent,
        _ kind: Kind,
        run: UInt64,
        session: SessionID?
    ) {
        guard run == child(kind).run else { return }
        switch event {
        case .started(let pid, let command):
            handle(.started(pid: pid), kind)
            if kind == .llama, let session {
                world.observer.log(
                    LogRecord(
                        "placement.server.command",
                        .info,
                        "Full command: \(command)",
                        ["command": .text(command), "pid": .integer(Int64(pid))]
                    )
                )
                tellPlacement(.started(pid: pid), session)
            }
        case .line(let line): read(line, kind, session)
        case .loads(let fraction):
            if let session { tellPlacement(.loads(fraction), session) }
        case .exited(let end):
            change(kind) { $0.handle = nil }
            handle(.exited(end), kind)
            if kind == .llama, let session { tellPlacement(.ended(end.text), session) }
            checkStopped()
        }
    }

    private func read(_ line: String, _ kind: Kind, _ session: SessionID?) {
        switch kind {
        case .rpc:
            if let record = RPCServerObservation(line: line)?.record {
                world.observer.log(record)
            }
        case .llama:
            guard let session, let observation = llamaOutput.observe(line) else { return }
            if let record = observation.record { world.observer.log(record) }
            guard let event = observation.serverEvent else { return }
            if event == .loaded { handle(.ready, .llama) }
            tellPlacement(event, session)
        }
    }

    private func tellPlacement(_ event: ServerEvent, _ session: SessionID) {
        placement?.assumeIsolated { $0.handle(.server(session, event)) }
    }

    /// Asks the child in its own protocol; one question at a time.
    private func probe(_ kind: Kind) {
        guard !child(kind).isProbing else { return }
        change(kind) { $0.isProbing = true }
        let run = child(kind).run
        switch kind {
        case .rpc:
            let endpoint = ports.rpcInternal
            probes.assumeIsolated { probes in
                probes.probeRPC(at: endpoint, timeout: Self.probeTimeout) { [self] result in
                    let isReady = (try? result.get()) != nil
                    assumeIsolated { $0.probed(isReady, .rpc, run: run) }
                }
            }
        case .llama:
            probes.assumeIsolated { probes in
                probes.probeHealth(at: ports.llama, timeout: Self.probeTimeout) {
                    [self] isHealthy in
                    assumeIsolated { $0.probed(isHealthy, .llama, run: run) }
                }
            }
        }
    }

    private func probed(_ isReady: Bool, _ kind: Kind, run: UInt64) {
        change(kind) { $0.isProbing = false }
        guard isReady, run == child(kind).run else { return }
        handle(.ready, kind)
        if kind == .llama, let session = llamaLaunch?.session {
            tellPlacement(.loaded, session)
        }
    }

    private func tell(_ event: ChildEvent, _ kind: Kind) {
        let spec = child(kind).machine.spec
        for record in event.records(kind: kind, spec: spec, ports: ports) {
            world.observer.log(record)
        }
        guard kind == .rpc else { return }
        switch event {
        case .ready:
            let instance = generator.next() | 1
            placement?.assumeIsolated { $0.rpcServer(.ready(instance: instance)) }
        case .restarting: placement?.assumeIsolated { $0.rpcServer(.down) }
        case .gaveUp(let reason):
            placement?.assumeIsolated { $0.rpcServer(.gaveUp(reason: reason)) }
        case .started, .ended, .stopped: break
        }
    }
}
