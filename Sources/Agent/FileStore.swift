import Dispatch
import EventLoop
import Primitives
import Runtime

/// Writes the durable record on a thread of its own: a slow disk never stops the loop.
final class FileStore: DurableStore {
    private let folder: StateFolder
    private let node: NodeID
    private let loop: any AgentLoop
    private let queue = DispatchQueue(label: "caravan.state")

    init(folder: StateFolder, node: NodeID, loop: any AgentLoop) {
        self.folder = folder
        self.node = node
        self.loop = loop
    }

    func save(_ record: DurableRecord, completion: @escaping @Sendable (Bool) -> Void) {
        queue.async { [self] in
            let isKept = (try? folder.save(record, node: node)) != nil
            loop.execute { completion(isKept) }
        }
    }
}
