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
    /// The name of the device whose folder this is.
    private let device: String
    private let loop: any AgentLoop
    private let queue = DispatchQueue(label: "caravan.models")

    /// How many models are listed.
    private static let listLimit = 1000

    init(_ path: String, of device: String, loop: any AgentLoop) {
        self.path = path
        self.device = device
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
        guard FileManager.default.isReadableFile(atPath: path) else {
            throw LaunchProblem(
                "The model \(model.name) is not on the master, \(device) (looked for \(path)): "
                    + "fetch it there with `caravan model get \(model.fileName)`, or start the "
                    + "agent with --models FOLDER"
            )
        }
        return try Self.facts(ofFile: path)
    }

    /// Reads the header of a model's file; blocks.
    package static func facts(ofFile path: String) throws(LaunchProblem) -> ModelFacts {
        let descriptor: FileDescriptor
        do {
            descriptor = try FileDescriptor.open(FilePath(path), .readOnly)
        } catch {
            throw LaunchProblem("\(path) cannot be read: \(error)")
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

    /// Opens a model of the folder for others; nil if there is none of this name.
    func serve(_ name: String) async -> ServedFile? {
        await withCheckedContinuation { continuation in
            onQueue { [self] in continuation.resume(returning: openForOthers(name)) }
        }
    }

    /// A name is no path, so nothing else of the device is given away.
    private func openForOthers(_ name: String) -> ServedFile? {
        guard name.hasSuffix(".gguf"), !name.contains("/"), !name.hasPrefix("."),
            let open = try? OpenModel(path + "/" + name)
        else { return nil }
        return ServedFile(byteCount: open.byteCount, tag: open.tag) { [self] offset, count in
            await withCheckedContinuation { continuation in
                onQueue {
                    let bytes = try? Self.read(open.descriptor, offset, count)
                    continuation.resume(returning: bytes ?? [])
                }
            }
        }
    }

    /// The models in the folder, sorted by name; blocks.
    package func list() -> [ModelFile] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        return names.filter { $0.hasSuffix(".gguf") }.sorted().prefix(Self.listLimit).map { name in
            ModelFile(name: name, byteCount: Self.byteCount(ofFile: path + "/" + name))
        }
    }
}

/// A model file that is being read for somebody.
private final class OpenModel: Sendable {
    let descriptor: FileDescriptor
    let byteCount: UInt64
    /// Another one when the file was written anew.
    let tag: String

    init(_ path: String) throws {
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        let changed = (attributes[.modificationDate] as? Date)?.timeIntervalSince1970 ?? 0
        descriptor = try FileDescriptor.open(FilePath(path), .readOnly)
        do {
            byteCount = UInt64(try descriptor.seek(offset: 0, from: .end))
        } catch {
            try? descriptor.close()
            throw error
        }
        tag = "\"\(byteCount)-\(UInt64(max(0, changed) * 1000))\""
    }

    deinit { try? descriptor.close() }
}
