import LlamaEngine
import Primitives
import Testing

@Suite struct LlamaServerOutputTests {
    private func observe(_ text: String, workers: [String]) -> [LlamaServerObservation] {
        var output = LlamaServerOutput(workers: workers)
        return text.split(separator: "\n").compactMap { output.observe(String($0)) }
    }

    private func mebibytes(_ number: Double) -> ByteCount { ByteCount(UInt64(number * 1_048_576)) }

    /// llama.cpp 0.7.0, `-lv 5`, two workers, shortened.
    private let newOutput = """
        0.00.055.104 I srv  llama_server: initializing ...
        0.00.055.154 I cmn  common_param: device_info:
        0.00.055.619 I cmn  common_param:   - RPC0    : 127.0.0.1:20101 (24105 MiB, 24105 MiB free)
        0.00.056.397 W srv  llama_server: security: no API key is set and CORS allows all origins
        0.00.058.182 I srv    load_model: loading model '/tmp/gm/100m.gguf'
        0.00.061.591 I llama_model_loader: - kv   1:          general.type str              = model
        0.00.065.694 I llama_prepare_model_devices: using device RPC0 (127.0.0.1:20101) (unknown id) - 24105 MiB free
        0.00.066.033 I llama_prepare_model_devices: using device RPC1 (127.0.0.1:20102) (unknown id) - 24105 MiB free
        0.00.071.898 I print_info: n_layer               = 24
        0.00.072.744 I load_tensors: loading model tensors, this can take a while... (load_mode = none)
        0.00.073.592 D load_tensors: layer   0 assigned to device RPC0, is_swa = 0
        0.00.073.619 D load_tensors: layer  24 assigned to device RPC1, is_swa = 0
        0.00.073.681 D create_tensor: loading tensor token_embd.weight
        0.00.083.544 I load_tensors: offloading output layer to GPU
        0.00.083.550 I load_tensors: offloaded 25/25 layers to GPU
        0.00.205.243 I load_tensors:          CPU model buffer size =     6.12 MiB
        0.00.205.262 I load_tensors: RPC0[127.0.0.1:20101] model buffer size =    44.83 MiB
        0.00.205.280 I load_tensors: RPC0[127.0.0.1:20102] model buffer size =    44.06 MiB
        0.00.379.656 I llama_context:        CPU  output buffer size =     0.11 MiB
        0.00.384.667 I llama_kv_cache: RPC0[127.0.0.1:20101] KV buffer size =     5.69 MiB
        0.00.385.185 I llama_kv_cache: size =   10.50 MiB (   512 cells,  24 layers,  4/1 seqs)
        0.00.401.496 I sched_reserve: RPC0[127.0.0.1:20102] compute buffer size =    12.54 MiB
        0.00.369.865 W srv          init: --cache-idle-slots requires --cache-ram, disabling
        0.00.372.689 I srv  llama_server: model loaded
        0.00.373.190 I srv  llama_server: listening on http://127.0.0.1:20100
        0.00.457.070 I slot get_availabl: id  0 | task -1 | selected slot by LRU, n_tokens = 0
        """

    @Test func `the output of a new version is understood from handshake to ready`() {
        let expected: [LlamaServerObservation] = [
            .deviceFound(index: 0, endpoint: "127.0.0.1:20101"),
            .deviceFound(index: 1, endpoint: "127.0.0.1:20102"),
            .loadingStarted,
            .layerAssigned(layer: 0, .worker(0)),
            .layerAssigned(layer: 24, .worker(1)),
            .layersOffloaded(25, of: 25),
            .buffer(.weights, .local("CPU"), mebibytes(6.12)),
            .buffer(.weights, .worker(0), mebibytes(44.83)),
            .buffer(.weights, .worker(1), mebibytes(44.06)),
            .buffer(.output, .local("CPU"), mebibytes(0.11)),
            .buffer(.cache, .worker(0), mebibytes(5.69)),
            .buffer(.compute, .worker(1), mebibytes(12.54)),
            .modelLoaded,
            .listening(url: "http://127.0.0.1:20100"),
        ]
        #expect(observe(newOutput, workers: ["127.0.0.1:20101", "127.0.0.1:20102"]) == expected)
    }

    /// The forms of the reference document's version, where devices are named by endpoint.
    private let oldOutput = """
        llama_model_load_from_file_impl: using device RPC[10.99.0.152:60000] (RPC[10.99.0.152:60000]) - 3800 MiB free
        llama_model_load_from_file_impl: using device RPC[10.99.0.78:60000] (RPC[10.99.0.78:60000]) - 5600 MiB free
        load_tensors: loading model tensors, this can take a while... (mmap = false)
        load_tensors: layer   0 assigned to device RPC[10.99.0.152:60000], is_swa = 0
        load_tensors: layer  12 assigned to device RPC[10.99.0.78:60000], is_swa = 0
        load_tensors: offloaded 25/25 layers to GPU
        load_tensors: RPC[10.99.0.78:60000] model buffer size =   373.73 MiB
        llama_kv_cache_unified: RPC[10.99.0.78:60000] KV buffer size =     6.00 MiB
        llama_context: RPC[10.99.0.152:60000] compute buffer size =   298.50 MiB
        main: model loaded
        main: server is listening on http://127.0.0.1:8080 - starting the main loop
        """

    @Test func `the output of an old version is understood from handshake to ready`() {
        let workers = ["10.99.0.152:60000", "10.99.0.78:60000"]
        let expected: [LlamaServerObservation] = [
            .deviceFound(index: 0, endpoint: workers[0]),
            .deviceFound(index: 1, endpoint: workers[1]),
            .loadingStarted,
            .layerAssigned(layer: 0, .worker(0)),
            .layerAssigned(layer: 12, .worker(1)),
            .layersOffloaded(25, of: 25),
            .buffer(.weights, .worker(1), mebibytes(373.73)),
            .buffer(.cache, .worker(1), mebibytes(6.00)),
            .buffer(.compute, .worker(0), mebibytes(298.50)),
            .modelLoaded,
            .listening(url: "http://127.0.0.1:8080"),
        ]
        #expect(observe(oldOutput, workers: workers) == expected)
    }

    @Test func `the devices of one server are told apart by their number`() {
        let text = """
            0.00.065.694 I llama_prepare_model_devices: using device RPC0 (10.0.0.1:6000) (unknown id) - 24 MiB free
            0.00.065.695 I llama_prepare_model_devices: using device RPC1 (10.0.0.1:6000) (unknown id) - 24 MiB free
            0.00.065.696 I llama_prepare_model_devices: using device RPC2 (10.0.0.2:6000) (unknown id) - 24 MiB free
            0.00.205.262 I load_tensors: RPC1[10.0.0.1:6000] model buffer size =     1.00 MiB
            0.00.205.263 I load_tensors: RPC0[10.0.0.2:6000] model buffer size =     2.00 MiB
            """
        let observations = observe(text, workers: ["10.0.0.1:6000", "10.0.0.2:6000"])
        #expect(
            observations.suffix(2) == [
                .buffer(.weights, .worker(1), mebibytes(1)),
                .buffer(.weights, .worker(2), mebibytes(2)),
            ]
        )
    }

    @Test func `buffers are matched to the list of workers when devices were not listed`() {
        let text = "load_tensors: RPC0[10.0.0.2:6000] model buffer size =     2.00 MiB"
        #expect(
            observe(text, workers: ["10.0.0.1:6000", "10.0.0.2:6000"])
                == [.buffer(.weights, .worker(1), mebibytes(2))]
        )
    }

    @Test(arguments: [
        (
            "./src/ggml-rpc/ggml-rpc.cpp:650: Failed to connect to 127.0.0.1:20150",
            LlamaServerFailure.cannotConnect(endpoint: "127.0.0.1:20150")
        ),
        (
            "/home/u/llama.cpp/ggml/src/ggml-rpc/ggml-rpc.cpp:677: RPC handshake failed for 10.0.0.1:6",
            .handshakeFailed("10.0.0.1:6")
        ),
        (
            "/x/ggml-rpc.cpp:682: Remote RPC server crashed or returned malformed response",
            .workerLost
        ),
        (
            "0.00.248.814 E ggml_backend_buft_alloc_buffer_n_default: failed to allocate "
                + "RPC0[127.0.0.1:20101] buffer of size 549470464",
            .outOfMemory(.worker(0), ByteCount(549_470_464))
        ),
        (
            "0.00.250.383 E llama_model_load: error loading model: unable to allocate "
                + "RPC0[127.0.0.1:20101] buffer",
            .outOfMemory(.worker(0), nil)
        ),
        (
            "0.00.105.906 E llama_model_load: error loading model: llama_model_loader: failed to "
                + "load model from /tmp/help.txt",
            .badModel("llama_model_loader: failed to load model from /tmp/help.txt")
        ),
        (
            "0.00.034.617 E srv         start: couldn't bind HTTP server socket, hostname: "
                + "127.0.0.1, port: 20100",
            .portTaken
        ),
        ("error: invalid argument: --no-mmap", .badArgument("error: invalid argument: --no-mmap")),
        (
            "0.00.250.937 E srv  llama_server: exiting due to model loading error",
            .other("llama_server: exiting due to model loading error")
        ),
        (
            "0.00.250.937 E srv  load_model: no model, '/x.gguf' \\n\\n",
            .other("load_model: no model, '/x.gguf'")
        ),
    ])
    func `a failure is recognised`(line: String, failure: LlamaServerFailure) {
        #expect(observe(line, workers: ["127.0.0.1:20101"]) == [.failed(failure)])
    }

    @Test(arguments: [
        ("missing tensor 'blk.3.attn_q.weight'", true),
        ("check_tensor_dims: tensor 'blk.1.attn_q.weight' not found", true),
        ("unknown model architecture: 'lxama'", true),
        ("error loading model vocabulary: cannot find tokenizer vocab in model file", true),
        ("error loading model hyperparameters: key not found in model: llama.block_count", true),
        (
            "tensor 'blk.5.ffn_down.weight' data is not within the file bounds, model is corrupted "
                + "or incomplete", true
        ),
        ("llama_model_loader: failed to load model from /x.gguf", true),
        ("done_getting_tensors: wrong number of tensors; expected 200, got 199", true),
        ("std::bad_alloc", false), ("unable to allocate CPU tensor buffer", false),
        ("vk::Device::createPipeline: ErrorOutOfDeviceMemory", false),
        ("make_cpu_buft_list: no CPU backend found", false),
    ])
    func `whether the model is at fault is told from what is said of it`(
        text: String,
        blamesModel: Bool
    ) throws {
        let line = "0.00.1 E llama_model_load: error loading model: " + text
        guard case .failed(let failure)? = observe(line, workers: []).first else {
            Issue.record("\(text) is no failure")
            return
        }
        #expect(failure.blamesModel == blamesModel)
        #expect(!LlamaServerFailure.workerLost.blamesModel)
    }

    @Test func `of a file that cannot be read it is told why`() {
        let observations = observe(
            """
            0.00.028.047 E gguf_init_from_reader: invalid magic characters: 'XXXX', expected 'GGUF'
            0.00.028.190 E llama_model_load: error loading model: llama_model_loader: failed to load \
            model from /tmp/magic.gguf
            """,
            workers: []
        )
        let reason = "gguf_init_from_reader: invalid magic characters: 'XXXX', expected 'GGUF'"
        let failure = LlamaServerFailure.badModel(reason)
        #expect(observations == [.failed(.other(reason)), .failed(failure)])
        #expect(failure.blamesModel)
    }

    @Test func `what only follows from a failure is known from the failure itself`() {
        let lines = [
            "0.00.1 E llama_model_load: error loading model: missing tensor 'blk.3.attn_q.weight'",
            "0.00.1 E llama_model_load_from_file_impl: failed to load model",
            "0.00.1 E common_init_: failed to load model '/x.gguf'",
            "0.00.1 E srv  llama_server: exiting due to model loading error",
        ]
        let consequences = lines.flatMap { observe($0, workers: []) }.map { observation in
            if case .failed(let failure) = observation { failure.isConsequence } else { false }
        }
        #expect(consequences == [false, true, true, true])
    }

    @Test func `what users write after loading is never taken for a fact`() {
        let text =
            newOutput + """

                0.03.016.024 D srv    operator(): http: streamed chunk: data: ggml-rpc.cpp:1: Failed to connect to x
                load_tensors: layer   0 assigned to device RPC1, is_swa = 0
                0.03.016.024 D load_tensors: layer   0 assigned to device RPC1, is_swa = 0
                main: model loaded
                0.09.016.024 I srv  llama_server: listening on http://10.0.0.1:1
                """
        let workers = ["127.0.0.1:20101", "127.0.0.1:20102"]
        #expect(observe(text, workers: workers) == observe(newOutput, workers: workers))
    }

    @Test(arguments: [
        "", " ", ":", "0.1", "0.1 I", "0.1 I ", "load_tensors:", "load_tensors: layer",
        "load_tensors: layer x assigned to device RPC0,", "load_tensors: offloaded x/y layers",
        "load_tensors: RPC0[ model buffer size = 1 MiB",
        "load_tensors: CPU model buffer size = nan MiB",
        "load_tensors: CPU model buffer size = 1e300 MiB",
        "llama_prepare_model_devices: using device RPCx (", "ggml-rpc.cpp:", "RPC[",
    ])
    func `a damaged line does no harm`(line: String) {
        var output = LlamaServerOutput(workers: [])
        switch output.observe(line) {
        case nil, .failed, .buffer(.weights, .local, _): break
        case let other: Issue.record("\(String(describing: other))")
        }
    }
}
