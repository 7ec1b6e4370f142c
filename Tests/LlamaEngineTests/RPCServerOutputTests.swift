import LlamaRPC
import LlamaEngine
import Primitives
import Testing

@Suite struct RPCServerOutputTests {
    @Test func `the output of a new version is understood`() {
        let text = """
            load_backend: loaded RPC backend from /work/lib/libggml-rpc.so
            Starting RPC server v8.0.0
              endpoint       : 127.0.0.1:20101
              local cache    : n/a
            Devices:
              CPU: AMD EPYC (24105 MiB, 24105 MiB free)
              transport      : TCP
            [create_server] listening on 127.0.0.1:20101
            [accept] accepted client connection
            Accepted client connection
            [hello] version: 8.0.0
            [rpc_serve_client] client connected, transport: TCP
            [get_alloc_size] device: 0, tensor: Qcur-0 [MUL_MAT, f32, [64, 512, 1, 1]], buffer: (nil)
            [alloc_buffer] device: 0, size: 853.25 KiB -> remote_ptr: 0x5555763bf670, remote_size: 1 KiB
            [set_tensor] tensor: output.weight [NONE, f16, [64, 1024, 1, 1]], size: 128.00 KiB
            [graph_compute] device: 0, uid: 24, n_nodes: 317, n_tensors: 438
            [graph_recompute] device: 0, uid: 39
            recv returned 0 (peer closed?)
            Client connection closed
            [~impl] closing socket 4
            """
        let version = RPCVersion(major: 8, minor: 0, patch: 0)
        let expected: [RPCServerObservation] = [
            .starting(version),
            .endpoint("127.0.0.1:20101"),
            .device(name: "CPU", description: "AMD EPYC", total: ByteCount(24105 << 20)),
            .clientConnected,
            .greeted(version),
            .sizeAsked,
            .bufferAllocated,
            .tensorReceived,
            .graphComputed,
            .graphComputed,
            .clientLeft,
        ]
        let found = text.split(separator: "\n").compactMap {
            RPCServerObservation(line: String($0))
        }
        #expect(found == expected)
    }

    @Test func `the lines of the reference document are understood`() {
        let version = RPCVersion(major: 3, minor: 6, patch: 0)
        #expect(RPCServerObservation(line: "Starting RPC server v3.6.0") == .starting(version))
        #expect(RPCServerObservation(line: "[hello] version: 3.6.0") == .greeted(version))
        let asked = "[get_alloc_size] device: 0, buffer: 0x0, data: 0x0"
        #expect(RPCServerObservation(line: asked) == .sizeAsked)
        let set = "[set_tensor] buffer: 0xb400007b12345678, data: 0x7b, offset: 0, size: 551936"
        #expect(RPCServerObservation(line: set) == .tensorReceived)
        let compute = "[graph_compute] device: 0, n_nodes: 443, n_tensors: 630"
        #expect(RPCServerObservation(line: compute) == .graphComputed)
        let accepted = "Accepted client connection, free_mem=1, total_mem=2"
        #expect(RPCServerObservation(line: accepted) == .clientConnected)
    }

    @Test(arguments: ["Failed to create server socket", "Invalid host address: localhost"])
    func `a server that cannot work is recognised though it ends with code 0`(line: String) {
        #expect(RPCServerObservation(line: line) == .failed(line))
    }

    @Test(arguments: [
        "", "[", "[]", "[hello]", "[hello] version: 1.2", "x MiB free)", "(: MiB free)",
    ])
    func `a damaged line says nothing`(line: String) {
        #expect(RPCServerObservation(line: line) == nil)
    }

    @Test func `a server is used by the same major version and at most the same minor one`() {
        let own = RPCVersion(major: 8, minor: 1, patch: 0)
        #expect(own.accepts(server: RPCVersion(major: 8, minor: 1, patch: 9)))
        #expect(own.accepts(server: RPCVersion(major: 8, minor: 0, patch: 0)))
        #expect(!own.accepts(server: RPCVersion(major: 8, minor: 2, patch: 0)))
        #expect(!own.accepts(server: RPCVersion(major: 7, minor: 0, patch: 0)))
    }
}
