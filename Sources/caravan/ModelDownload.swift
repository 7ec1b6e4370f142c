import Agent
import FoundationEssentials
import Gateway
import Primitives
import SystemPackage
import TensorStore

/// A model file on its way from another device; it gets its name when it is whole.
struct ModelDownload: Sendable {
    let model: String
    let byteCount: UInt64
    let folder: String

    /// How often a connection that breaks is made again, if bytes came in between.
    private static let attemptLimit = 20
    private static let progressInterval: Duration = .seconds(2)

    var path: String { folder + "/" + model }
    private var part: String { path + ".part" }
    /// The entity tag of the file of which `part` is the beginning.
    private var tagFile: String { path + ".part.tag" }

    var presentByteCount: UInt64? { Self.byteCount(of: path) }

    private static func byteCount(of path: String) -> UInt64? {
        guard let file = try? FileDescriptor.open(FilePath(path), .readOnly) else { return nil }
        defer { try? file.close() }
        return (try? file.seek(offset: 0, from: .end)).map { UInt64($0) }
    }

    func requireRoom() throws {
        try FileManager.default.createDirectory(
            atPath: folder,
            withIntermediateDirectories: true
        )
        guard let free = DiskSpace.freeByteCount(at: folder) else { return }
        let needed = byteCount - min(byteCount, Self.byteCount(of: part) ?? 0)
        guard free > needed else {
            throw CommandFailure(
                "\(folder) has \(ByteCount(free)) free, and \(model) needs \(ByteCount(needed)) "
                    + "more. Make room, or give another folder with `--models`"
            )
        }
    }

    func run(from device: ClusterStatus.Member, through agent: AgentAddress) async throws {
        let client = try agent.client
        var attempts = 0
        while true {
            let before = Self.byteCount(of: part) ?? 0
            do {
                try await agent.told { try await fetch(device, client) }
                break
            } catch let error as GatewayClientError {
                attempts += 1
                let after = Self.byteCount(of: part) ?? 0
                guard after > before, attempts < Self.attemptLimit else { throw error }
                Output.writeError("\(error); going on at \(ByteCount(after))")
            }
        }
        try finish()
    }

    /// Fetches what is lacking.
    private func fetch(_ device: ClusterStatus.Member, _ client: GatewayClient) async throws {
        let held = Self.byteCount(of: part) ?? 0
        var headers: [String: String] = [:]
        if held > 0, held < byteCount,
            let tag = try? String(contentsOfFile: tagFile, encoding: .utf8)
        {
            headers = ["range": "bytes=\(held)-", "if-range": tag]
        }
        let writer = PartWriter(part, tagFile)
        var progress = DownloadProgress(model, device.name, of: byteCount)
        try await client.read(
            "/api/v1/models/\(PercentEncoding.encoded(model))?device=\(device.id)",
            headers: headers,
            onHead: { head in
                let isRest = head.status == 206
                try writer.begin(head.headers["etag"] ?? "", goesOn: isRest)
                progress.begin(at: isRest ? held : 0)
            },
            onBytes: { bytes in
                try writer.write(bytes)
                if let line = progress.add(bytes.count, every: Self.progressInterval) {
                    Output.writeError(line)
                }
            }
        )
        try writer.end()
    }

    private func finish() throws {
        let got = Self.byteCount(of: part) ?? 0
        guard got == byteCount else {
            try removeParts()
            throw CommandFailure(
                "The file changed while it was fetched: \(got) bytes came, \(byteCount) were "
                    + "announced. Ask again"
            )
        }
        do {
            _ = try ModelsFolder.facts(ofFile: part)
        } catch {
            try removeParts()
            throw CommandFailure("What was fetched is of no use: \(error)")
        }
        if presentByteCount != nil { try FileManager.default.removeItem(atPath: path) }
        try FileManager.default.moveItem(atPath: part, toPath: path)
        try? FileManager.default.removeItem(atPath: tagFile)
    }

    private func removeParts() throws {
        try? FileManager.default.removeItem(atPath: tagFile)
        try FileManager.default.removeItem(atPath: part)
    }
}

/// Writes the beginning of a file, and of which file it is.
private final class PartWriter {
    private let part: String
    private let tagFile: String
    private var file: FileDescriptor?

    init(_ part: String, _ tagFile: String) {
        self.part = part
        self.tagFile = tagFile
    }

    deinit { try? file?.close() }

    func begin(_ tag: String, goesOn: Bool) throws {
        file = try FileDescriptor.open(
            FilePath(part),
            .writeOnly,
            options: goesOn ? [.create, .append] : [.create, .truncate],
            permissions: [.ownerReadWrite, .groupRead, .otherRead]
        )
        try Data(tag.utf8).write(to: URL(filePath: tagFile))
    }

    func write(_ bytes: [UInt8]) throws {
        _ = try file?.writeAll(bytes)
    }

    func end() throws {
        try file?.close()
        file = nil
    }
}

/// What people read while a file comes.
private struct DownloadProgress {
    private let model: String
    private let device: String
    private let byteCount: UInt64
    private var got: UInt64 = 0
    private var began = ContinuousClock.now
    private var beganAt: UInt64 = 0
    private var told = ContinuousClock.now

    init(_ model: String, _ device: String, of byteCount: UInt64) {
        self.model = model
        self.device = device
        self.byteCount = byteCount
    }

    mutating func begin(at offset: UInt64) {
        (got, beganAt, began, told) = (offset, offset, .now, .now)
    }

    /// A line, when it is time for one.
    mutating func add(_ count: Int, every interval: Duration) -> String? {
        got += UInt64(count)
        let now = ContinuousClock.now
        guard now - told >= interval, byteCount > 0 else { return nil }
        told = now
        let perSecond = UInt64(Double(got - beganAt) / ((now - began) / .seconds(1)))
        let left = perSecond > 0 ? (byteCount - min(got, byteCount)) / perSecond : 0
        return "\(model) from \(device): \(100 * got / byteCount) %, \(ByteCount(perSecond))/s, "
            + "\(left) s left"
    }
}
