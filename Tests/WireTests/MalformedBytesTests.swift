import Primitives
import SWIM
import Testing
import Wire

/// What arrives may be anything: it is decoded or refused, never more.
struct MalformedBytesTests {
    static let messageKinds: [UInt8] = Array(1...6) + Array(16...36) + [40, 41, 48]
    static let frameKinds: [UInt8] = Array(1...12)

    @Test(arguments: 0..<WireHeader.byteCount)
    func `a truncated header is refused`(byteCount: Int) {
        let bytes = Array(Coding.headerBytes.prefix(byteCount))
        let error = #expect(throws: WireError.self) { try Coding.datagram(bytes) }
        #expect(error?.reason == "truncated")
    }

    @Test(arguments: Vectors.valid.filter { $0.layer == .message || $0.layer == .frame })
    func `every truncation of a message or frame is refused`(_ vector: Vector) {
        for byteCount in 0..<vector.bytes.count {
            let bytes = Array(vector.bytes.prefix(byteCount))
            let error = #expect(throws: WireError.self, "\(byteCount) bytes") {
                try Coding.decode(bytes, as: vector.layer)
            }
            #expect(error?.reason == "truncated", "\(byteCount) bytes")
        }
    }

    @Test(arguments: Vectors.valid.filter { $0.layer == .datagram })
    func `a truncated datagram is refused unless it ends between messages`(
        _ vector: Vector
    ) throws {
        let whole = try Coding.datagram(vector.bytes)
        var boundaries = [WireHeader.byteCount]
        while let start = boundaries.last, start < vector.bytes.count {
            let length = Int(vector.bytes[start]) << 8 | Int(vector.bytes[start + 1])
            boundaries.append(start + 2 + length)
        }
        for byteCount in 0..<vector.bytes.count {
            let bytes = Array(vector.bytes.prefix(byteCount))
            if boundaries.contains(byteCount) {
                let datagram = try Coding.datagram(bytes)
                #expect(whole.messages.starts(with: datagram.messages))
            } else {
                let error = #expect(throws: WireError.self) { try Coding.datagram(bytes) }
                #expect(error?.reason == "truncated", "\(byteCount) bytes")
            }
        }
    }

    @Test(arguments: Vectors.valid.filter { $0.layer == .stream })
    func `a truncated stream gives its first frames and waits`(_ vector: Vector) {
        let whole = Coding.read([vector.bytes])
        for byteCount in 0..<vector.bytes.count {
            let (frames, _, error) = Coding.read([Array(vector.bytes.prefix(byteCount))])
            #expect(error == nil, "\(byteCount) bytes")
            #expect(whole.frames.starts(with: frames), "\(byteCount) bytes")
        }
    }

    /// Whatever decodes encodes to something that decodes to the same.
    @Test(arguments: Vectors.all)
    func `every change of a byte is decoded or refused`(_ vector: Vector) throws {
        for index in vector.bytes.indices {
            var bytes = vector.bytes
            // Of long vectors, bits are flipped one by one and all together: time is short.
            let changes: [UInt8] =
                vector.bytes.count <= 32
                ? Array(1...UInt8.max) : [1, 2, 4, 8, 16, 32, 64, 128, 255]
            for change in changes {
                bytes[index] = vector.bytes[index] ^ change
                try expectStable(bytes, as: vector.layer)
            }
        }
    }

    @Test(arguments: [Vector.Layer.message, .frame, .datagram, .stream])
    func `random bytes are decoded or refused`(_ layer: Vector.Layer) throws {
        var generator = SeededGenerator(seed: 0x5EED)
        for _ in 0..<20_000 {
            var bytes = (0..<generator.below(80)).map { _ in
                UInt8(truncatingIfNeeded: generator.next())
            }
            // Behind a true kind or header, more of a decoder is reached.
            switch layer {
            case .message where !bytes.isEmpty:
                bytes[0] = Self.messageKinds[generator.below(Self.messageKinds.count)]
            case .frame where !bytes.isEmpty:
                bytes[0] = Self.frameKinds[generator.below(Self.frameKinds.count)]
            case .datagram, .stream:
                if generator.below(4) > 0 { bytes = Coding.headerBytes + bytes }
            case .message, .frame: break
            }
            try expectStable(bytes, as: layer)
        }
    }

    @Test func `random bytes with short lengths are decoded or refused`() throws {
        var generator = SeededGenerator(seed: 7)
        for _ in 0..<20_000 {
            var bytes = Coding.headerBytes
            for _ in 0..<generator.below(4) {
                let body = (0..<1 + generator.below(40)).map { _ in
                    UInt8(generator.below(40))
                }
                bytes.append(bigEndian: UInt16(body.count))
                bytes += body
            }
            try expectStable(bytes, as: .datagram)
        }
    }

    @Test(arguments: (0...UInt8.max).filter { !Self.messageKinds.contains($0) })
    func `a message of an unknown kind is skipped and counted`(kind: UInt8) throws {
        let ack = Coding.encoded(.gossip(.ack(number: 7)))
        for tail in [[], [0xFF], ack] {
            var bytes = Coding.headerBytes
            bytes.append(bigEndian: UInt16(1 + tail.count))
            bytes += [kind] + tail
            bytes.append(bigEndian: UInt16(ack.count))
            let datagram = try Coding.datagram(bytes + ack)
            #expect(datagram.unknownCount == 1)
            #expect(datagram.messages == [.gossip(.ack(number: 7))])
        }
    }

    @Test(arguments: (0...UInt8.max).filter { !Self.frameKinds.contains($0) })
    func `a frame of an unknown kind is skipped and counted`(kind: UInt8) {
        let stream = Coding.headerBytes + [0, 0, 0, 3, kind, 1, 2] + Frame.ack(number: 7).encoded
        let (frames, reader, error) = Coding.read([stream])
        #expect(error == nil)
        #expect(frames == [.ack(number: 7)])
        #expect(reader.unknownCount == 1)
    }

    private func expectStable(_ bytes: [UInt8], as layer: Vector.Layer) throws {
        switch layer {
        case .message:
            guard !bytes.isEmpty, let message = try? Coding.message(bytes) else { return }
            let again = try Coding.message(Coding.encoded(message))
            if again != message { Issue.record("\(message) became \(again as Any)") }
        case .frame:
            guard let frame = try? Frame(decoding: bytes.span) else { return }
            let again = try Frame(decoding: Coding.encoded(frame).span)
            if again != frame { Issue.record("\(frame) became \(again as Any)") }
        case .datagram:
            guard var datagram = try? Coding.datagram(bytes) else { return }
            // What was not understood is not sent on.
            datagram.unknownCount = 0
            let again = try Coding.datagram(Coding.encoded(datagram))
            if again != datagram { Issue.record("\(datagram) became \(again)") }
        case .stream:
            let (frames, reader, error) = Coding.read([bytes])
            if error != nil, reader.unreadByteCount != 0 {
                Issue.record("a refused stream keeps \(reader.unreadByteCount) bytes")
            }
            for frame in frames {
                let again = try Frame(decoding: Coding.encoded(frame).span)
                if again != frame { Issue.record("\(frame) became \(again as Any)") }
            }
        }
    }
}
