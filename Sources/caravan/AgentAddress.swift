import Agent
import ArgumentParser
import FoundationEssentials
import Gateway
import Primitives

/// Which agent a command talks to.
struct AgentAddress: ParsableArguments {
    @Option(
        name: .customLong("host"),
        help: ArgumentHelp(
            "The agent to ask, by its HTTP address.",
            valueName: "address[:port]"
        )
    )
    var text = "127.0.0.1:52415"

    @Option(
        help: ArgumentHelp(
            "What that agent's device gave you with `caravan token create`; default is "
                + "$CARAVAN_TOKEN. On the device itself none is needed.",
            valueName: "token"
        )
    )
    var token: String?

    var endpoint: Endpoint {
        get throws {
            let name = text.hasPrefix("localhost") ? "127.0.0.1" + text.dropFirst(9) : text
            guard
                let endpoint = AgentConfiguration.endpoint(
                    name,
                    defaultPort: AgentConfiguration.httpPort
                )
            else {
                throw ValidationError(
                    "'\(text)' is no address: give one like 127.0.0.2 or 192.168.1.7:52415"
                )
            }
            return endpoint
        }
    }

    var client: GatewayClient {
        get throws {
            let environment = ProcessInfo.processInfo.environment["CARAVAN_TOKEN"]
            return GatewayClient(endpoint: try endpoint, token: token ?? environment)
        }
    }

    func status() async throws -> ClusterStatus {
        let response = try await client.get("/api/v1/cluster")
        try check(response)
        return try JSONDecoder().decode(ClusterStatus.self, from: Data(response.body))
    }

    /// Turns an error answer into its message.
    func check(_ response: GatewayClient.Response) throws {
        guard response.status >= 300 else { return }
        throw CommandFailure(Self.message(in: response))
    }

    /// Runs what asks the agent; an error answer becomes its message.
    func told<Value>(_ work: () async throws -> Value) async throws -> Value {
        do {
            return try await work()
        } catch GatewayClientError.refused(let response) {
            throw CommandFailure(Self.message(in: response))
        }
    }

    /// As `told`; that it was cancelled is an ordinary end.
    func untilCancelled(_ work: () async throws -> Void) async throws {
        do {
            try await told(work)
        } catch is CancellationError {}
    }

    private static func message(in response: GatewayClient.Response) -> String {
        struct Body: Decodable {
            struct Failure: Decodable { var message: String }
            var error: Failure
        }
        let body = try? JSONDecoder().decode(Body.self, from: Data(response.body))
        return body?.error.message ?? "The agent answered \(response.status)"
    }
}

/// A failure with a message for people; exit code 1.
struct CommandFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
