import Dispatch
import EventLoop
import FoundationEssentials
package import GGUF
package import Gateway
package import LayerPlacement
import Primitives
import Runtime
import SystemPackage

/// The GGUF files of a device.
package final class ModelsFolder: ModelSource {
    package let path: String
    private let loop: any AgentLoop
    private let queue = DispatchQueue(label: "caravan.models")

    /// How many models are listed.
    private static let listLimit = 1000

    init(_ path: String, loop: any AgentLoop) {
        self.path = path
        self.loop = loop
    }

    package func readFacts(
        of model: WantedModel,
        completion: @escaping @Sendable (Result<ModelFacts, LaunchProblem>) -> Void
    ) {
        queue.async { [self] in
            let result = Result { () throws(LaunchProblem) in try facts(of: model) }
            loop.execute { completion(result) }
        }
    }

    /// Runs a piece of work where files may be read.
    func onQueue(_ work: @escaping @Sendable () -> Void) {
        queue.async(execute: work)
    }

    /// Where a model's file is: a path as it is, a name in this folder.
    package func file(of model: String) -> String {
        model.contains("/") ? model : path + "/" + model
    }

    /// Reads a model's header; blocks.
    package func facts(of model: WantedModel) throws(LaunchProblem) -> ModelFacts {
        let path = file(of: model.name)
        let descriptor: FileDescriptor
        do {
            descriptor = try FileDescriptor.open(FilePath(path), .readOnly)
        } catch {
            throw LaunchProblem(
                "The model \(model.name) is not on this device (looked for \(path)): copy it there, "
                    + "or start the agent with --models FOLDER"
            )
        }
        defer { try? descriptor.close() }
        do {
            let size = UInt64(try descriptor.seek(offset: 0, from: .end))
            let file = try GGUFReader().readHeader(byteCount: size) {
                offset,
                count throws(GGUFError) in
                try Self.read(descriptor, offset, count)
            }
            return try ModelFacts(file)
        } catch {
            throw LaunchProblem("\(path) is no model that can be run: \(error)")
        }
    }

    private static func read(
        _ descriptor: FileDescriptor,
        _ offset: UInt64,
        _ count: Int
    ) throws(GGUFError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var filled = 0
        while filled < count {
            let read = try? unsafe bytes.withUnsafeMutableBytes { buffer in
                try unsafe descriptor.read(
                    fromAbsoluteOffset: Int64(offset) + Int64(filled),
                    into: UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])
                )
            }
            guard let read, read > 0 else { break }
            filled += read
        }
        bytes.removeLast(count - filled)
        return bytes
    }

    /// The size of a model's file, 0 if it is not there; blocks shortly.
    func byteCount(of model: String) -> UInt64 {
        Self.byteCount(ofFile: file(of: model))
    }

    private static func byteCount(ofFile path: String) -> UInt64 {
        guard let file = try? FileDescriptor.open(FilePath(path), .readOnly) else { return 0 }
        defer { try? file.close() }
        return UInt64((try? file.seek(offset: 0, from: .end)) ?? 0)
    }

    /// The models in the folder, sorted by name; blocks.
    package func list() -> [ModelFile] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        return names.filter { $0.hasSuffix(".gguf") }.sorted().prefix(Self.listLimit).map { name in
            ModelFile(name: name, byteCount: Self.byteCount(ofFile: path + "/" + name))
        }
    }
}
