import HTTPTypes
import NIOCore
import NIOHTTP1

/// What is asked of a single device: to found a cluster, to be master, to leave, to take no work.
extension GatewayResponder {
    /// Which device is meant: by its name, or by its node.
    private struct DeviceRequest: Decodable {
        var device: String?
        /// For `drain`; true if left out.
        var drained: Bool?
    }

    private struct TransferRequest: Decodable {
        var to: String
    }

    private struct DeviceAnswer: Encodable {
        var status: String
        var node: String
        var name: String
        /// What did not go well, for people.
        var notes: [String] = []
    }

    func found(_ reply: Reply) async throws {
        try await backend.found()
        let status = await backend.status()
        try await reply.send(json: answer("founded", status.`self`, in: status))
    }

    func transfer(
        _ request: GatewayRequest,
        _ body: ByteBuffer,
        _ reply: Reply,
        _ connection: ClientConnection
    ) async throws {
        let wanted: TransferRequest
        do {
            wanted = try JSON.decode(TransferRequest.self, from: body)
        } catch {
            throw APIError(
                .badRequest,
                "invalid_json",
                #"The body must be like {"to":"kitchen"}: a device's name, or its node."#
            )
        }
        let status = await backend.status()
        let node = try Self.node(of: wanted.to, in: status)
        connection.beginLongAnswer()
        do {
            try await backend.transfer(to: node)
            try await reply.send(json: answer("transferred", node, in: status))
        } catch GatewayRefusal.notMaster(let master) {
            let refusal = GatewayRefusal.notMaster(master: master)
            let body = try JSON.encode(["to": node])
            try await forward(request, .POST, body, reply, connection, otherwise: refusal)
        }
    }

    func leave(
        _ request: GatewayRequest,
        _ body: ByteBuffer,
        _ reply: Reply,
        _ connection: ClientConnection
    ) async throws {
        let wanted = try deviceRequest(body)
        let status = await backend.status()
        let node = try wanted.device.map { try Self.node(of: $0, in: status) } ?? status.`self`
        connection.beginLongAnswer()
        guard node == status.`self` else {
            try await forward(
                request,
                .POST,
                try JSON.encode(["device": node]),
                reply,
                connection,
                to: node,
                otherwise: Self.lostTrack(of: node)
            )
            return
        }
        let notes = try await backend.leave()
        try await reply.send(json: answer("left", node, in: status, notes))
    }

    func drain(
        _ request: GatewayRequest,
        _ body: ByteBuffer,
        _ reply: Reply,
        _ connection: ClientConnection
    ) async throws {
        struct Forwarded: Encodable {
            var device: String
            var drained: Bool
        }
        let wanted = try deviceRequest(body)
        let isDrained = wanted.drained ?? true
        let status = await backend.status()
        let node = try wanted.device.map { try Self.node(of: $0, in: status) } ?? status.`self`
        connection.beginLongAnswer()
        guard node == status.`self` else {
            try await forward(
                request,
                .POST,
                try JSON.encode(Forwarded(device: node, drained: isDrained)),
                reply,
                connection,
                to: node,
                otherwise: Self.lostTrack(of: node)
            )
            return
        }
        let notes = try await backend.drain(isDrained)
        let word = isDrained ? "drained" : "undrained"
        try await reply.send(json: answer(word, node, in: status, notes))
    }

    private func deviceRequest(_ body: ByteBuffer) throws(APIError) -> DeviceRequest {
        guard body.readableBytes > 0 else { return DeviceRequest() }
        do {
            return try JSON.decode(DeviceRequest.self, from: body)
        } catch {
            throw APIError(
                .badRequest,
                "invalid_json",
                #"The body must be like {"device":"kitchen"}; without it this agent is meant."#
            )
        }
    }

    private func answer(
        _ word: String,
        _ node: String,
        in status: ClusterStatus,
        _ notes: [String] = []
    ) -> DeviceAnswer {
        let name = status.members.first { $0.id == node }?.name ?? node
        return DeviceAnswer(status: word, node: node, name: name, notes: notes)
    }

    /// Finds a member that is there by its name, or by its node.
    static func node(
        of device: String,
        in status: ClusterStatus
    ) throws(APIError) -> String {
        if status.members.contains(where: { $0.id == device }) { return device }
        let present = status.members.filter { $0.state == "alive" || $0.state == "suspect" }
        let named = present.filter { $0.name == device }
        guard let first = named.first else {
            let names = present.map(\.name).sorted().joined(separator: ", ")
            throw APIError(
                .notFound,
                "unknown_device",
                "No device called \(device.prefix(64)) is there. There are: \(names)."
            )
        }
        guard named.count == 1 else {
            let nodes = named.map(\.id).joined(separator: ", ")
            throw APIError(
                .conflict,
                "ambiguous_device",
                "\(named.count) devices are called \(device). Give the node instead: \(nodes)."
            )
        }
        return first.id
    }

    static func lostTrack(of node: String) -> GatewayRefusal {
        .conflict(
            code: "other_device",
            message: "This agent is not the device \(node). Ask that device itself."
        )
    }
}
