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
        FuzzTarget("rpc-frames", "which side, how many first bytes, the cut; one side of a relay") {
            bytes in
            guard let first = bytes.first else { return }
            let kind: RPCFrameKind = first.isMultiple(of: 2) ? .requests : .replies
            let prefixByteCount = [0, 305, 2, 3260][Int(first / 2 % 4)]
            let pieces = Array(bytes.dropFirst()).pieces
            let whole = frames(kind, prefixByteCount, [pieces.flatMap { $0 }])
            let cut = frames(kind, prefixByteCount, pieces)
            try expect(
                whole.gathered == whole.bytes,
                "what waits for its graph goes out as something else"
            )
            try expect(whole == cut, "the pieces in which a side arrives change what it says")
            let written = whole.bytes
            try expect(
                written.elementsEqual(bytes.dropFirst(2).prefix(written.count)),
                "what was read is written as something else"
            )
            try expect(
                whole.isRefused
                    || bytes.dropFirst(2).count - written.count
                        < max(kind.headerByteCount, prefixByteCount),
                "more was kept than was asked for"
            )
        },
        FuzzTarget(
            "rpc-conversation",
            "pieces behind their lengths: 0 and a client's, or a server's"
        ) {
            bytes in
            var dialogue = RPCDialogue()
            for piece in bytes.measuredPieces {
                var rest = piece.dropFirst()
                do throws(RPCFramingError) {
                    if piece.first == 0 {
                        while try dialogue.nextRequest(&rest) != nil {}
                    } else {
                        while try dialogue.nextReply(&rest) != nil {}
                    }
                } catch {
                    return
                }
                try expect(rest.isEmpty, "\(rest.count) bytes were left")
                try expect(
                    dialogue.conversation.awaitedCount <= RPCConversation.awaitedLimit,
                    "more is remembered than the limit"
                )
            }
        },
        FuzzTarget("rpc-facts", "replies of an RPC server to all that it is asked at once") {
            bytes in
            var probe = RPCFactsProbe()
            for piece in bytes.measuredPieces {
                guard let step = try? probe.receive(piece) else { return }
                guard case .done(let facts) = step else { continue }
                try expect((1...16).contains(facts.devices.count), "\(facts.devices.count) devices")
                _ = facts.answer(to: 11, [0, 0, 0, 0], hasAllocated: true)
            }
        },
        FuzzTarget("rpc-alloc", "what a GET_ALLOC_SIZE asks, filled up with zeros") { bytes in
            let missing = max(0, RPCAllocQuestion.payloadByteCount - bytes.count)
            let payload = bytes + [UInt8](repeating: 0, count: missing)
            guard let question = RPCAllocQuestion(payload) else { return }
            var sizes = RPCAllocSizes()
            sizes.learn(question, 7)
            try expect(sizes[question] == 7, "what was learned is not known")
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
    /// One side of a relay, taken apart.
    private struct Frames: Equatable {
        var bytes: [UInt8] = []
        /// The same, after some of it has waited.
        var gathered: [UInt8] = []
        var beginnings: [RPCHeader] = []
        var prefixes: [[UInt8]] = []
        var endCount = 0
        var isRefused = false
    }

    private static func frames(
        _ kind: RPCFrameKind,
        _ prefixByteCount: Int,
        _ pieces: [[UInt8]]
    ) -> Frames {
        var reader = RPCFrameReader(kind)
        var frames = Frames()
        var gathering = RPCGathering()
        func pass(_ bytes: [UInt8]) {
            frames.bytes += bytes
            gathering.add(bytes[...], to: &frames.gathered)
        }
        for piece in pieces {
            var rest = piece[...]
            do throws(RPCFramingError) {
                while let event = try reader.next(&rest) {
                    switch event {
                    case .begins(let header):
                        if case .request(let command, _) = header {
                            gathering.begins(command, isJudged: true)
                        }
                        var bytes: [UInt8] = []
                        header.encode(into: &bytes)
                        pass(bytes)
                        frames.beginnings.append(header)
                        reader.collect(prefixByteCount: prefixByteCount)
                    case .prefix(let prefix):
                        pass(prefix)
                        frames.prefixes.append(prefix)
                        _ = try? RPCSetTensor(prefix)
                    case .payload(let slice): pass(Array(slice))
                    case .ends: frames.endCount += 1
                    }
                }
            } catch {
                frames.isRefused = true
                break
            }
        }
        gathering.flush(to: &frames.gathered)
        return frames
    }
}
