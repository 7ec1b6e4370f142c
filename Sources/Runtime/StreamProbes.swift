import EventLoop
import LayerPlacement
import LlamaRPC
import Primitives

/// Asks local and remote servers, each in its own protocol, whether they are well.
actor StreamProbes {
    private nonisolated let world: World
    nonisolated var unownedExecutor: UnownedSerialExecutor {
        world.loop.executor
    }

    private var open: [UInt64: Probe] = [:]
    private var nextProbe: UInt64 = 0

    private struct Probe {
        var question: Question
        var connection: (any StreamConnection)?
        var timer: LoopTimer?
    }

    private enum Question {
        case rpc(
            RPCProbe,
            RPCProbe.Greeting,
            Endpoint,
            @Sendable (Result<RPCProbe.Answer, LaunchProblem>) -> Void
        )
        case health([UInt8], @Sendable (Bool) -> Void)
    }

    private static let healthRequest = Array(
        "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".utf8
    )
    /// How much of an answer is read to find its status.
    private static let healthByteLimit = 4096

    init(world: World) {
        self.world = world
    }

    /// Streams hold this actor for what they still have to tell.
    func dismantle() {
        open = [:]
    }

    /// Asks an RPC server for its version and devices; the stream is closed before the result is
    /// given, because the server serves one client at a time.
    func probeRPC(
        at endpoint: Endpoint,
        timeout: Duration,
        greeting: RPCProbe.Greeting = .current,
        completion: @escaping @Sendable (Result<RPCProbe.Answer, LaunchProblem>) -> Void
    ) {
        ask(.rpc(RPCProbe(greeting), greeting, endpoint, completion), endpoint, timeout)
    }

    /// Whether an HTTP server answers `/health` with 200.
    func probeHealth(
        at endpoint: Endpoint,
        timeout: Duration,
        completion: @escaping @Sendable (Bool) -> Void
    ) {
        ask(.health([], completion), endpoint, timeout)
    }

    private func ask(_ question: Question, _ endpoint: Endpoint, _ timeout: Duration) {
        nextProbe += 1
        let id = nextProbe
        open[id] = Probe(question: question)
        let connection = world.servers.connect(to: endpoint, timeout: timeout) { [self] event in
            assumeIsolated { $0.happened(event, id) }
        }
        open[id]?.connection = connection
        open[id]?.timer = world.loop.schedule(after: timeout) { [self] in
            assumeIsolated { $0.finish(id, because: "no answer within \(timeout.inSeconds) s") }
        }
    }

    private func happened(_ event: StreamEvent, _ id: UInt64) {
        guard let probe = open[id] else { return }
        switch (event, probe.question) {
        case (.opened, .rpc(let machine, _, _, _)): probe.connection?.send(machine.opening)
        case (.opened, .health): probe.connection?.send(Self.healthRequest)
        case (.received(let bytes), .rpc(var machine, let greeting, let endpoint, let completion)):
            do throws(RPCProbeError) {
                switch try machine.receive(bytes) {
                case .send(let request): probe.connection?.send(request)
                case .needsMore: break
                case .done(let answer):
                    close(id)
                    completion(.success(answer))
                    return
                }
                open[id]?.question = .rpc(machine, greeting, endpoint, completion)
            } catch {
                finish(id, because: "it does not speak llama.cpp's RPC: \(error)")
            }
        case (.received(let bytes), .health(let seen, let completion)):
            let all = seen + bytes
            open[id]?.question = .health(all, completion)
            // "HTTP/1.1 200": the status is all that counts.
            guard all.count >= 12 || all.count > Self.healthByteLimit else { return }
            close(id)
            completion(all.starts(with: "HTTP/1.1 200".utf8))
        case (.closed(let closure), .rpc(_, .current, let endpoint, let completion))
        where closure == .ended || closure == .reset:
            // Servers up to 3.6 close on a HELLO with a payload.
            close(id)
            probeRPC(
                at: endpoint,
                timeout: .seconds(1),
                greeting: .empty,
                completion: completion
            )
        case (.closed(let closure), _): finish(id, because: "the stream ended: \(closure)")
        }
    }

    private func finish(_ id: UInt64, because reason: String) {
        guard let probe = open[id] else { return }
        close(id)
        switch probe.question {
        case .rpc(_, _, _, let completion): completion(.failure(LaunchProblem(reason)))
        case .health(_, let completion): completion(false)
        }
    }

    private func close(_ id: UInt64) {
        guard let probe = open.removeValue(forKey: id) else { return }
        if let timer = probe.timer { world.loop.cancel(timer) }
        probe.connection?.close()
    }
}
