import Foundation
import Gateway

/// What tests ask as an OpenAI client does.
enum Asking {
    struct ChatRequest: Encodable {
        struct Message: Encodable {
            var role = "user"
            var content: String
        }

        var model = TestModels.tiny
        var messages: [Message]
        var maxTokens: Int
        var stream: Bool
        var temperature = 0.0
        // A random model may want to stop at any moment.
        var ignoreEndOfText = true

        enum CodingKeys: String, CodingKey {
            case model, messages, stream, temperature
            case maxTokens = "max_tokens"
            case ignoreEndOfText = "ignore_eos"
        }

        init(_ text: String, maxTokens: Int, stream: Bool) {
            messages = [Message(content: text)]
            self.maxTokens = maxTokens
            self.stream = stream
        }
    }

    struct ChatAnswer: Decodable {
        struct Choice: Decodable {
            struct Message: Decodable { var content: String? }
            var message: Message?
            var delta: Message?
        }

        var choices: [Choice]
    }

    struct ErrorAnswer: Decodable {
        struct Failure: Decodable {
            var message: String
            var type: String
            var code: String
        }

        var error: Failure
    }

    /// A chat answered in one piece.
    static func chat(_ client: GatewayClient, maxTokens: Int = 12) async throws -> String {
        let answer = try await client.post(
            "/v1/chat/completions",
            json: try body("Hello there", maxTokens: maxTokens, stream: false)
        )
        guard answer.status == 200 else { throw Problem("\(answer.status): \(answer.text)") }
        let chat = try JSONDecoder().decode(ChatAnswer.self, from: Data(answer.body))
        return chat.choices.first?.message?.content ?? ""
    }

    /// A streamed chat: its pieces, and whether it ended with `[DONE]`.
    static func streamedChat(
        _ client: GatewayClient,
        maxTokens: Int = 12
    ) async throws -> (pieces: [String], isDone: Bool) {
        var pieces: [String] = []
        for try await event in try stream(client, maxTokens: maxTokens) {
            if event.data == "[DONE]" { return (pieces, true) }
            let chunk = try JSONDecoder().decode(ChatAnswer.self, from: Data(event.data.utf8))
            if let text = chunk.choices.first?.delta?.content { pieces.append(text) }
        }
        return (pieces, false)
    }

    static func stream(
        _ client: GatewayClient,
        maxTokens: Int
    ) throws -> AsyncThrowingStream<ServerSentEvent, any Error> {
        client.stream(
            "/v1/chat/completions",
            method: .post,
            body: try body("Hello there", maxTokens: maxTokens, stream: true)
        )
    }

    static func body(_ text: String, maxTokens: Int, stream: Bool) throws -> [UInt8] {
        [UInt8](
            try JSONEncoder().encode(ChatRequest(text, maxTokens: maxTokens, stream: stream))
        )
    }

    /// How a model goes on with a fixed text when it always takes the likeliest token.
    static func greedy(_ client: GatewayClient, tokenCount: Int = 40) async throws -> String {
        struct Request: Encodable {
            var prompt = "The caravan went on through the night and"
            var max_tokens: Int
            var temperature = 0.0
            var ignore_eos = true
            var cache_prompt = false
        }
        struct Answer: Decodable {
            struct Choice: Decodable { var text: String }
            struct Usage: Decodable { var completion_tokens: Int }
            var choices: [Choice]
            var usage: Usage
        }
        let request = try JSONEncoder().encode(Request(max_tokens: tokenCount))
        let response = try await client.post("/v1/completions", json: [UInt8](request))
        guard response.status == 200 else { throw Problem("\(response.status): \(response.text)") }
        let answer = try JSONDecoder().decode(Answer.self, from: Data(response.body))
        guard answer.usage.completion_tokens == tokenCount, let choice = answer.choices.first else {
            throw Problem("not \(tokenCount) tokens: \(response.text)")
        }
        return choice.text
    }

    /// How many requests llama-server works on.
    static func busySlots(_ llama: GatewayClient) async throws -> Int {
        struct Slot: Decodable { var is_processing: Bool }
        let response = try await llama.get("/slots", timeLimit: .seconds(5))
        guard response.status == 200 else { throw Problem("\(response.status): \(response.text)") }
        let slots = try JSONDecoder().decode([Slot].self, from: Data(response.body))
        return slots.count { $0.is_processing }
    }
}
