import EventLoop
import Gateway
import LayerPlacement
import LlamaEngine
import Primitives
import Synchronization

/// What this device says of itself, measured now and then.
final class FactsKeeper: Sendable {
    private let configuration: AgentConfiguration
    private let engine: EngineFacts?
    private let models: ModelsFolder
    private let files: any SystemFiles
    private let loop: any AgentLoop
    private let began: Instant
    private let damper = Mutex(FactsDamper())

    private static let interval: Duration = .seconds(10)

    init(
        _ configuration: AgentConfiguration,
        engine: EngineFacts?,
        models: ModelsFolder,
        loop: any AgentLoop,
        files: any SystemFiles = OwnSystemFiles()
    ) {
        self.configuration = configuration
        self.engine = engine
        self.models = models
        self.loop = loop
        self.files = files
        began = loop.now
    }

    /// What is told first.
    func begin() -> DeviceFacts {
        let facts = measure(at: began)
        damper.withLock { _ = $0.measured(facts, at: began) }
        return facts
    }

    /// Reads small files and a folder.
    private func measure(at now: Instant) -> DeviceFacts {
        let sensors = DeviceSensors(files)
        let total = sensors.memory?.total ?? configuration.memory ?? .zero
        return DeviceFacts(
            name: configuration.name,
            memoryTotal: configuration.memory.map { max($0, total) } ?? total,
            memoryAvailable: configuration.memory ?? sensors.memory?.available ?? .zero,
            httpPort: configuration.httpPort,
            rpcPort: configuration.rpcPort,
            engine: engine?.shortVersion ?? "",
            models: models.list().map { DeviceFacts.fingerprint(ofModel: $0.name) },
            condition: DeviceCondition(
                threadCount: UInt16(clamping: sensors.threadCount),
                power: sensors.power,
                temperature: sensors.temperature,
                isThrottled: sensors.isThrottled,
                uptime: UptimeStep(of: now - began),
                accelerators: engine?.accelerators.joined(separator: ", ") ?? "",
                rpcVersion: engine?.toldRPCVersion
            ),
            policy: configuration.policy
        )
    }

    /// Measures again and again, and tells what has changed.
    func follow(onChange: @escaping @Sendable (DeviceFacts) -> Void) {
        loop.schedule(after: Self.interval) { [self] in
            let now = loop.now
            models.onQueue { [self] in
                let measured = measure(at: now)
                let told = damper.withLock { $0.measured(measured, at: now) }
                loop.execute { [self] in
                    if let told { onChange(told) }
                    follow(onChange: onChange)
                }
            }
        }
    }
}
