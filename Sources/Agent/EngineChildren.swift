import CPosix
import Dispatch
import EngineStore
import EventLoop
import FoundationEssentials
import LayerPlacement
import LlamaEngine
import LlamaRPC
import Primitives
import Processes
import Runtime
import Supervision
import Synchronization

/// Starts llama.cpp's programs with the engine of this device.
final class EngineChildren: ChildSpawner {
    private let engine: Engine?
    private let models: ModelsFolder
    private let loop: any AgentLoop
    /// The process of the RPC server, while it runs.
    private let rpcServer = Mutex<Int32?>(nil)

    init(engine: Engine?, models: ModelsFolder, loop: any AgentLoop) {
        self.engine = engine
        self.models = models
        self.loop = loop
    }

    func spawn(
        _ launch: ChildLaunch,
        onEvent: @escaping @Sendable (ChildProcessEvent) -> Void
    ) -> any ChildHandle {
        guard let engine else {
            // Told later, as every other event is.
            loop.execute {
                onEvent(
                    .exited(
                        .couldNotStart(
                            reason: "llama.cpp is not on this device: caravan engine install"
                        )
                    )
                )
            }
            return NoProcess()
        }
        switch launch {
        case .rpcServer(let endpoint):
            let server = RPCServerCommand(endpoint: endpoint)
            return RunningProcess(
                engine.command(server),
                shownAs: server.displayText(for: engine.facts.features),
                loop: loop,
                onEvent: { [self] event in
                    note(event)
                    onEvent(event)
                }
            )
        case .llamaServer(let launch, let endpoint):
            let path = models.file(of: launch.model.name)
            let server = LlamaServerCommand(
                modelPath: path,
                httpHost: "\(endpoint.address)",
                httpPort: endpoint.port,
                workers: launch.workers.map(\.description),
                tensorSplit: launch.tensorSplit,
                contextLength: Int(launch.model.context),
                // What clients see of the model is its name, not where it lies on the master.
                extraArguments: ["--alias", launch.model.fileName]
            )
            return RunningProcess(
                engine.command(server),
                shownAs: server.displayText(for: engine.facts.features),
                readingModel: models.byteCount(of: launch.model.name),
                loop: loop,
                onEvent: onEvent
            )
        }
    }
}

extension EngineChildren {
    private func note(_ event: ChildProcessEvent) {
        switch event {
        case .started(let pid, _): rpcServer.withLock { $0 = pid }
        case .exited: rpcServer.withLock { $0 = nil }
        case .line, .loads: break
        }
    }

    /// What the RPC server of this device does at this moment; called on any thread.
    var rpcServerProcess: RPCStallWatch.Process {
        guard let pid = rpcServer.withLock({ $0 }), let account = ProcessAccount.read(pid: pid)
        else { return .isUnknown }
        return switch account.state {
        case .runs, .sleeps: .hasComputed(account.processorTime)
        case .isStopped: .isStopped
        case .waitsForDisk: .waitsForDisk
        case .hasEnded: .isUnknown
        }
    }
}

private final class NoProcess: ChildHandle {
    func terminate() {}
    func kill() {}
}

/// A child process whose events come on the loop.
private final class RunningProcess: ChildHandle {
    private let process: ChildProcess

    /// How often it is looked at how much of a model was read.
    private static let progressInterval: DispatchTimeInterval = .milliseconds(300)

    init(
        _ command: ChildCommand,
        shownAs text: String,
        readingModel byteCount: UInt64 = 0,
        loop: any AgentLoop,
        onEvent: @escaping @Sendable (ChildProcessEvent) -> Void
    ) {
        process = ChildProcess.start(command) { event in
            switch event {
            case .started(let pid):
                loop.execute { onEvent(.started(pid: pid, command: text)) }
                guard byteCount > 0 else { return }
                Self.watchReading(of: pid, byteCount: byteCount) { fraction in
                    loop.execute { onEvent(.loads(fraction)) }
                }
            case .line(let line, _): loop.execute { onEvent(.line(line)) }
            case .exited(let exit):
                loop.execute { onEvent(.exited(ChildEnd(exit))) }
            }
        }
    }

    func terminate() {
        process.signal(.terminate)
    }

    func kill() {
        process.signal(.kill)
    }

    /// Tells how much of its model a process has read, until it has read all or is gone.
    ///
    /// llama-server tells nothing of its progress in a way that every version shares, but without
    /// mmap it reads its file from front to back, and the system counts what it reads.
    private static func watchReading(
        of pid: Int32,
        byteCount: UInt64,
        _ tell: @escaping @Sendable (Double) -> Void
    ) {
        DispatchQueue.global().asyncAfter(deadline: .now() + progressInterval) {
            guard let read = bytesRead(by: pid) else { return }
            let fraction = min(1, Double(read) / Double(byteCount))
            tell(fraction)
            if fraction < 1 { watchReading(of: pid, byteCount: byteCount, tell) }
        }
    }

    /// `rchar` of /proc/PID/io; nil where there is none.
    private static func bytesRead(by pid: Int32) -> UInt64? {
        guard let data = FileManager.default.contents(atPath: "/proc/\(pid)/io"),
            let line = String(decoding: data, as: UTF8.self).split(separator: "\n").first,
            line.hasPrefix("rchar: ")
        else { return nil }
        return UInt64(line.dropFirst(7))
    }
}

extension ChildEnd {
    fileprivate init(_ exit: ChildExit) {
        switch exit {
        case .exited(let code): self = .exited(code: code)
        case .signalled(let number): self = .signalled(number)
        case .couldNotStart(let reason): self = .couldNotStart(reason: reason)
        }
    }
}
