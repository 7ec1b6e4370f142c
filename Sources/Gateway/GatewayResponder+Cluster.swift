import HTTPTypes
import NIOCore
import NIOHTTP1

/// Our own API: the cluster's state, the master's models, launch and stop.
extension GatewayResponder {
    /// Says that a request was passed on by another agent already.
    ///
    /// Two agents that each take the other for the master would pass it to and fro for ever.
    private static let hopHeader = "Caravan-Hop"

    struct ModelFileList: Encodable {
        var models: [ModelFile]
    }

    private struct Accepted: Encodable {
        var status = "accepted"
        var model: String?
    }

    /// The status on connect and after each change; a slow reader skips states.
    func streamEvents(_ reply: Reply, _ connection: ClientConnection) async throws {
        try await reply.begin(.ok, .eventStream)
        connection.beginLongAnswer()
        connection.perform(
            .heartbeat(ByteBuffer(string: ": alive\n\n"), every: limits.heartbeatInterval)
        )
        var last: ClusterStatus?
        for await status in backend.statusUpdates() where status != last {
            last = status
            let json = String(buffer: try JSON.encode(status))
            try await reply.write(ByteBuffer(string: "event: status\ndata: \(json)\n\n"))
        }
        if Task.isCancelled, connection.ending == .shutdown {
            connection.perform(.finish(ByteBuffer(string: ": this agent stops\n\n")))
        } else {
            try await reply.end()
        }
    }

    /// The models in the master's folder, those that can be launched; or in that of a device that
    /// is named.
    func answerModelFiles(
        _ request: GatewayRequest,
        _ reply: Reply,
        _ connection: ClientConnection
    ) async throws {
        if RequestQuery(of: request.head.path ?? "")["device"] != nil {
            return try await answerDevicesModelFiles(request, reply, connection)
        }
        let status = await backend.status()
        guard let master = status.master else { throw GatewayRefusal.noMaster }
        if master == status.`self` {
            return try await reply.send(json: ModelFileList(models: await backend.models()))
        }
        try await forward(
            request,
            .GET,
            ByteBuffer(),
            reply,
            connection,
            otherwise: .notMaster(master: master)
        )
    }

    func launch(
        _ request: GatewayRequest,
        _ body: ByteBuffer,
        _ reply: Reply,
        _ connection: ClientConnection
    ) async throws {
        let wanted: LaunchRequest
        do {
            wanted = try JSON.decode(LaunchRequest.self, from: body)
        } catch {
            throw APIError(
                .badRequest,
                "invalid_json",
                #"The body must be like {"model":"name.gguf","context":4096}; context may be left out."#
            )
        }
        guard (1...4096).contains(wanted.model.utf8.count) else {
            throw APIError(.badRequest, "bad_model", "Name a model to launch.")
        }
        if let context = wanted.context, !(1...(1 << 24)).contains(context) {
            throw APIError(
                .badRequest,
                "bad_context",
                "The context is a number of tokens from 1 to 16777216."
            )
        }
        do {
            try await backend.launch(wanted)
            try await reply.send(json: Accepted(model: wanted.model), status: .accepted)
        } catch GatewayRefusal.notMaster(let master) {
            let refusal = GatewayRefusal.notMaster(master: master)
            try await forward(request, .POST, body, reply, connection, otherwise: refusal)
        }
    }

    func stop(
        _ request: GatewayRequest,
        _ body: ByteBuffer,
        _ reply: Reply,
        _ connection: ClientConnection
    ) async throws {
        do {
            try await backend.stopModel()
            try await reply.send(json: Accepted(), status: .accepted)
        } catch GatewayRefusal.notMaster(let master) {
            let refusal = GatewayRefusal.notMaster(master: master)
            try await forward(request, .POST, body, reply, connection, otherwise: refusal)
        }
    }

    /// Passes a request on to the gateway of a member, once, and its answer back as it comes,
    /// however long it is.
    func forwardStream(
        _ request: GatewayRequest,
        _ path: String,
        _ reply: Reply,
        to node: String
    ) async throws {
        if let hop = HTTPField.Name(Self.hopHeader), request.head.headerFields[hop] != nil {
            throw Self.lostTrack(of: node)
        }
        var headers: HTTPHeaders = [Self.hopHeader: "1"]
        for name in [HTTPField.Name.range, .ifRange] {
            if let value = request.head.headerFields[name] {
                headers.add(name: name.rawName, value: value)
            }
        }
        let head = HTTPExchange.request(
            .GET,
            path,
            host: "localhost",
            body: ByteBuffer(),
            headers
        )
        do {
            let exchange = try await HTTPExchange(
                adopting: backend.connect(toGatewayOf: node)
            )
            try await exchange.run(head, body: ByteBuffer()) { head, parts in
                var fields = HTTPFields()
                for name in [
                    HTTPField.Name.contentType, .contentLength, .contentRange, .acceptRanges,
                    .eTag, .cacheControl, .retryAfter,
                ] {
                    fields[name] = head.headers[name.rawName].first
                }
                try await reply.begin(HTTPResponse.Status(code: Int(head.status.code)), fields)
                while let bytes = try await parts.next() { try await reply.write(bytes) }
                try await reply.end()
            }
        } catch is ExchangeFailure where reply.isUnsent {
            throw APIError.masterLost("The gateway of that device")
        }
    }

    /// Passes a request on to the gateway of the master, or of another member, once.
    func forward(
        _ request: GatewayRequest,
        _ method: HTTPMethod,
        _ body: ByteBuffer,
        _ reply: Reply,
        _ connection: ClientConnection,
        to node: String? = nil,
        otherwise refusal: GatewayRefusal
    ) async throws {
        if let hop = HTTPField.Name(Self.hopHeader), request.head.headerFields[hop] != nil {
            throw refusal
        }
        connection.beginLongAnswer()
        let head = HTTPExchange.request(
            method,
            request.head.path ?? "/",
            host: "localhost",
            body: body,
            [Self.hopHeader: "1"]
        )
        do {
            let socket =
                if let node {
                    try await backend.connect(toGatewayOf: node)
                } else {
                    try await backend.connect(to: .gateway)
                }
            let exchange = try await HTTPExchange(adopting: socket)
            try await exchange.run(head, body: body, timeLimit: limits.forwardTimeLimit) {
                head,
                parts in
                let answer = try await parts.collect(upTo: limits.heldResponseByteLimit)
                var fields = HTTPFields()
                fields[.contentType] = head.headers["content-type"].first
                fields[.retryAfter] = head.headers["retry-after"].first
                try await reply.send(
                    HTTPResponse.Status(code: Int(head.status.code)),
                    fields,
                    answer
                )
            }
        } catch is ExchangeFailure where reply.isUnsent {
            throw APIError.masterLost(
                node == nil ? "The master's gateway" : "The gateway of that device"
            )
        }
    }
}
