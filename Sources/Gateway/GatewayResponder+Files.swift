import HTTPTypes
import NIOCore
import NIOHTTP1

/// What lies on a device and is wanted elsewhere: its log, and its model files.
extension GatewayResponder {
    /// Answers this device, or passes the answer of the one that `device` names as it comes.
    private func atDevice(
        _ request: GatewayRequest,
        _ reply: Reply,
        _ connection: ClientConnection,
        _ answer: () async throws -> Void
    ) async throws {
        let target = request.head.path ?? ""
        let query = RequestQuery(of: target)
        connection.beginLongAnswer()
        guard let device = query["device"] else { return try await answer() }
        let status = await backend.status()
        let node = try Self.node(of: device, in: status)
        if node == status.`self` { return try await answer() }
        var passed = "\(target.prefix { $0 != "?" })?device=\(node)"
        for name in ["lines", "level", "follow"] {
            if let value = query[name] { passed += "&\(name)=\(PercentEncoding.encoded(value))" }
        }
        try await forwardStream(request, passed, reply, to: node)
    }

    // MARK: - Logs

    func answerLogs(
        _ request: GatewayRequest,
        _ reply: Reply,
        _ connection: ClientConnection
    ) async throws {
        let wanted = try LogRequest(RequestQuery(of: request.head.path ?? ""))
        try await atDevice(request, reply, connection) {
            let lines = try await backend.logLines(wanted)
            try await reply.begin(
                .ok,
                [.contentType: "application/x-ndjson", .cacheControl: "no-store"]
            )
            for try await line in lines { try await reply.write(ByteBuffer(bytes: line)) }
            guard !Task.isCancelled else {
                if connection.ending == .shutdown { connection.perform(.finish(ByteBuffer())) }
                return
            }
            try await reply.end()
        }
    }

    // MARK: - Models

    /// The models in the folder of the device that is named.
    func answerDevicesModelFiles(
        _ request: GatewayRequest,
        _ reply: Reply,
        _ connection: ClientConnection
    ) async throws {
        try await atDevice(request, reply, connection) {
            try await reply.send(json: ModelFileList(models: await backend.models()))
        }
    }

    func answerModelFile(
        _ name: String,
        _ request: GatewayRequest,
        _ reply: Reply,
        _ connection: ClientConnection
    ) async throws {
        try await atDevice(request, reply, connection) {
            guard let file = await backend.modelFile(name) else {
                throw APIError(
                    .notFound,
                    "model_not_found",
                    "No file \(name.prefix(200)) is in this device's models folder."
                )
            }
            try await send(file, request, reply)
        }
    }

    private func send(
        _ file: ServedFile,
        _ request: GatewayRequest,
        _ reply: Reply
    ) async throws {
        var fields: HTTPFields = [
            .contentType: "application/octet-stream", .cacheControl: "no-store",
            .acceptRanges: "bytes", .eTag: file.tag,
        ]
        // Of a file that has changed since, a part is of no use.
        let condition = request.head.headerFields[.ifRange]
        let isSame = condition == nil || condition == file.tag
        let range = ByteRange(
            isSame ? request.head.headerFields[.range] : nil,
            of: file.byteCount
        )
        let part: Range<UInt64>
        switch range {
        case .whole:
            part = 0..<file.byteCount
        case .part(let asked):
            part = asked
            fields[.contentRange] =
                "bytes \(part.lowerBound)-\(part.upperBound - 1)/\(file.byteCount)"
        case .unsatisfiable:
            fields[.contentRange] = "bytes */\(file.byteCount)"
            return try await reply.send(.rangeNotSatisfiable, fields, ByteBuffer())
        }
        fields[.contentLength] = "\(part.count)"
        try await reply.begin(range == .whole ? .ok : .partialContent, fields)
        var offset = part.lowerBound
        while offset < part.upperBound {
            let count = Int(min(UInt64(Self.blockByteCount), part.upperBound - offset))
            let bytes = try await file.read(offset, count)
            // A file that was cut meanwhile: the connection ends before the announced length.
            guard !bytes.isEmpty else { throw ExchangeFailure.cut }
            try await reply.write(ByteBuffer(bytes: bytes))
            offset += UInt64(bytes.count)
        }
        try await reply.end()
    }

    private static let blockByteCount = 256 << 10
}
