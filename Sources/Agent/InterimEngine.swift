import EventLoop
import FoundationEssentials
import LayerPlacement
import Primitives
import Processes
import Runtime
import Supervision
struct Engine: Sendable {
    struct Facts: Sendable { var version = "0.7.0" }
    var facts = Facts()
    var folder: String
}
struct EngineLocator {
    var folder: String?
    var stateFolder: String
    func find() async throws -> Engine { Engine(folder: folder ?? "/work/h/engine-bin") }
}
final class EngineChildren: ChildSpawner {
    let engine: Engine?
    let models: ModelsFolder
    let loop: any AgentLoop
    init(engine: Engine?, models: ModelsFolder, loop: any AgentLoop) {
        self.engine = engine; self.models = models; self.loop = loop
    }
    final class Handle: ChildHandle {
        let process: ChildProcess
        init(_ p: ChildProcess) { process = p }
        func terminate() { process.signal(.terminate) }
        func kill() { process.signal(.kill) }
    }
    func spawn(_ launch: ChildLaunch, onEvent: @escaping @Sendable (ChildProcessEvent) -> Void)
        -> any ChildHandle
    {
        let lib = (engine?.folder ?? "") + "/lib"
        var args: [String]
        switch launch {
        case .rpcServer(let e):
            args = [
                "--argv0", "ggml-rpc-server", "--library-path", lib, lib + "/ggml-rpc-server", "-H",
                "\(e.address)", "-p", "\(e.port)",
            ]
        case .llamaServer(let s, let e):
            args = [
                "--argv0", "llama-server", "--library-path", lib, lib + "/llama-server", "-m",
                models.file(of: s.model.name), "--host", "\(e.address)", "--port", "\(e.port)",
                "--fit", "off", "--load-mode", "none", "-c", "\(s.model.context)", "-ngl", "99",
            ]
            if !s.workers.isEmpty {
                args += [
                    "--rpc", s.workers.map { "\($0)" }.joined(separator: ","), "-ts", s.tensorSplit,
                ]
            }
        }
        let cmd = ChildCommand(
            executable: lib + "/ld-linux-x86-64.so.2",
            arguments: args,
            environment: ["GGML_NO_BACKTRACE": "1"]
        )
        let text = args.joined(separator: " ")
        let loop = loop
        return Handle(
            ChildProcess.start(cmd) { event in
                loop.execute {
                    switch event {
                    case .started(let pid): onEvent(.started(pid: pid, command: text))
                    case .line(let l, _): onEvent(.line(l))
                    case .exited(let e):
                        switch e {
                        case .exited(let c): onEvent(.exited(.exited(code: c)))
                        case .signalled(let n): onEvent(.exited(.signalled(n)))
                        case .couldNotStart(let r): onEvent(.exited(.couldNotStart(reason: r)))
                        }
                    }
                }
            }
        )
    }
}
