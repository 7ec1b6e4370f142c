import LlamaEngine
import LlamaRPC
import Primitives

// What llama.cpp's programs answer and print, or whatever runs in their place.
extension FuzzTarget {
    static let llama: [FuzzTarget] = [
        FuzzTarget("rpc-probe", "the greeting, then replies of an RPC server behind their lengths")
        {
            bytes in
            guard let first = bytes.first else { return }
            var probe = RPCProbe(first.isMultiple(of: 2) ? .current : .empty)
            for piece in Array(bytes.dropFirst()).measuredPieces {
                guard case .done(let answer)? = try? probe.receive(piece) else { continue }
                try expect(answer.devices.count <= 16, "\(answer.devices.count) devices")
            }
        },
        FuzzTarget("llama-output", "what llama-server prints") { bytes in
            var output = LlamaServerOutput(workers: ["10.0.0.1:60000", "10.0.0.2:60000"])
            for line in bytes.text.split(separator: "\n") { _ = output.observe(String(line)) }
        },
        FuzzTarget("rpc-output", "what an RPC server prints") { bytes in
            for line in bytes.text.split(separator: "\n") {
                _ = RPCServerObservation(line: String(line))
            }
        },
        FuzzTarget("engine-facts", "--version, two --help, a banner, with zeros between") { bytes in
            let texts = bytes.texts
            func text(_ index: Int) -> String { index < texts.count ? texts[index] : "" }
            let facts = EngineFacts(
                versionText: text(0),
                serverHelp: text(1),
                rpcServerHelp: text(2),
                rpcServerBanner: text(3)
            )
            _ = facts?.problems
        },
    ]
}
