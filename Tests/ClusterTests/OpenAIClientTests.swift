import Foundation
import Processes
import Testing

extension ClusterTests {
    @Suite(.needsEngine, .needsOpenAIClient) struct OpenAIClient {
        @Test func `the official Python client streams a chat through every agent`() async throws {
            try await withCluster { cluster in
                let (master, workers) = try await cluster.form(2)
                try await cluster.launch(through: workers[0])
                for agent in [master] + workers {
                    try await cluster.ready(agent)
                    let output = try await PythonClient.run(
                        Self.script,
                        ["http://\(agent.endpoint(TestAgent.httpPort))/v1"]
                    )
                    #expect(output.exit.isSuccess, "\(output.standardError)")
                    #expect(output.standardOutput.contains("streamed"), "\(output)")
                }
            }
        }

        @Test func `the official Python client says what an agent without a model answers`()
            async throws
        {
            try await withCluster { cluster in
                let (master, _) = try await cluster.form(1)
                let output = try await PythonClient.run(
                    Self.refusedScript,
                    ["http://\(master.endpoint(TestAgent.httpPort))/v1"]
                )
                #expect(output.exit.isSuccess, "\(output.standardError)")
                #expect(output.standardOutput.contains("no_model"), "\(output)")
            }
        }

        private static let script = """
            import sys
            from openai import OpenAI
            client = OpenAI(base_url=sys.argv[1], api_key="none", max_retries=0)
            model = client.models.list().data[0].id
            messages = [{"role": "user", "content": "Where do caravans go?"}]
            stream = client.chat.completions.create(
                model=model, messages=messages, max_tokens=16, temperature=0, stream=True,
                extra_body={"ignore_eos": True})
            parts = [c.choices[0].delta.content or "" for c in stream if c.choices]
            assert sum(1 for part in parts if part) > 3, parts
            whole = client.chat.completions.create(
                model=model, messages=messages, max_tokens=16, temperature=0,
                extra_body={"ignore_eos": True})
            assert whole.choices[0].message.content == "".join(parts), (whole, parts)
            assert whole.usage.completion_tokens == 16, whole.usage
            print("streamed", len(parts))
            """

        private static let refusedScript = """
            import sys
            from openai import APIStatusError, OpenAI
            client = OpenAI(base_url=sys.argv[1], api_key="none", max_retries=0)
            try:
                client.chat.completions.create(
                    model="any", messages=[{"role": "user", "content": "Hello"}])
            except APIStatusError as error:
                assert error.status_code == 503, error
                print(error.code)
            """
    }
}
