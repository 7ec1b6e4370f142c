import Gateway
import EventLoop
import LayerPlacement
import Primitives
import Synchronization

/// What this device says of itself, measured now and then.
final class FactsKeeper: Sendable {
    private let configuration: AgentConfiguration
    private let engine: String?
    private let models: ModelsFolder
    private let last = Mutex<DeviceFacts?>(nil)

    private static let interval: Duration = .seconds(10)
    /// Available memory is told again when it has changed by this part of the total: gossip is
    /// not a gauge.
    private static let memoryStep = 20.0

    init(_ configuration: AgentConfiguration, engine: String?, models: ModelsFolder) {
        self.configuration = configuration
        self.engine = engine
        self.models = models
    }

    /// Measures now: reads two small files and a folder.
    func measure() -> DeviceFacts {
        let measured = DeviceMemory.measure()
        let total = measured?.total ?? configuration.memory ?? .zero
        var available = configuration.memory ?? measured?.available ?? .zero
        if configuration.memory == nil, let told = last.withLock({ $0 })?.memoryAvailable,
            abs(Double(told.bytes) - Double(available.bytes)) < Double(total.bytes)
                / Self.memoryStep
        {
            available = told
        }
        let facts = DeviceFacts(
            name: configuration.name,
            memoryTotal: configuration.memory.map { max($0, total) } ?? total,
            memoryAvailable: available,
            httpPort: configuration.httpPort,
            rpcPort: configuration.rpcPort,
            engine: engine ?? "",
            models: models.list().map { DeviceFacts.fingerprint(ofModel: $0.name) }
        )
        last.withLock { $0 = facts }
        return facts
    }

    /// Measures again and again, and tells what has changed.
    func follow(on loop: any AgentLoop, onChange: @escaping @Sendable (DeviceFacts) -> Void) {
        loop.schedule(after: Self.interval) { [self] in
            let before = last.withLock { $0 }
            models.onQueue { [self] in
                let now = measure()
                loop.execute { [self] in
                    if now != before { onChange(now) }
                    follow(on: loop, onChange: onChange)
                }
            }
        }
    }
}
