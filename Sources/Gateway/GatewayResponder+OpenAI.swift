import HTTPTypes

/// What OpenAI's clients ask besides completions, and `/health`.
extension GatewayResponder {
    private struct ModelList: Encodable {
        var object = "list"
        var data: [OpenAIModel]
    }

    private struct OpenAIModel: Encodable {
        var id: String
        var object = "model"
        var created: Int
        var ownedBy = "caravan"

        enum CodingKeys: String, CodingKey {
            case id, object, created
            case ownedBy = "owned_by"
        }
    }

    private struct Healthy: Encodable {
        var status = "ok"
    }

    /// An error with the phase beside it, for programs that wait for the model.
    private struct Unhealthy: Encodable {
        enum Key: CodingKey { case status }

        var status: String
        var error: APIError

        func encode(to encoder: any Encoder) throws {
            try error.encode(to: encoder)
            var container = encoder.container(keyedBy: Key.self)
            try container.encode(status, forKey: .status)
        }
    }

    func answerOpenAIModels(_ reply: Reply) async throws {
        let model = await backend.status().model
        let models = model.map { [OpenAIModel(id: $0.name, created: startedAt)] } ?? []
        try await reply.send(json: ModelList(data: models))
    }

    func answerOpenAIModel(_ id: String, _ reply: Reply) async throws {
        guard await backend.status().model?.name == id else {
            throw APIError(.notFound, "model_not_found", "The cluster does not run \(id).")
        }
        try await reply.send(json: OpenAIModel(id: id, created: startedAt))
    }

    func answerHealth(_ reply: Reply) async throws {
        let status = await backend.status()
        if status.model?.phase == "ready" { return try await reply.send(json: Healthy()) }
        let error: APIError
        if let model = status.model {
            error = .notReady(phase: model.phase, message: model.message)
        } else if status.master == nil {
            error = APIError(.noMaster)
        } else {
            error = .notReady(phase: nil, message: "")
        }
        try await reply.send(
            json: Unhealthy(status: status.model?.phase ?? error.code, error: error),
            status: error.status,
            error.fields
        )
    }
}
