import GGUF
import Primitives
import Testing

/// Headers made byte by byte, each breaking one bound.
struct GGUFLimitTests {
    private func start(tensors: UInt64 = 0, metadata: UInt64 = 1) -> [UInt8] {
        var bytes = Array("GGUF".utf8)
        bytes.append(littleEndian: UInt32(3))
        bytes.append(littleEndian: tensors)
        bytes.append(littleEndian: metadata)
        return bytes
    }

    private func key(_ name: String, type: UInt32) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: UInt64(name.utf8.count))
        bytes += Array(name.utf8)
        bytes.append(littleEndian: type)
        return bytes
    }

    private func error(_ bytes: [UInt8], byteCount: UInt64? = nil) -> GGUFError? {
        do throws(GGUFError) {
            _ = try header(of: bytes, byteCount: byteCount)
            return nil
        } catch {
            return error
        }
    }

    @Test func `counts beyond the limits are refused before anything is stored`() {
        #expect(
            error(start(tensors: .max)) == .overLimit(.tensors, count: .max, limit: 65536)
        )
        #expect(
            error(start(metadata: 4097)) == .overLimit(.metadata, count: 4097, limit: 4096)
        )
    }

    @Test func `a string longer than the file or the limit is refused`() {
        var bytes = start() + key("k", type: 8)
        let offset = UInt64(bytes.count) + 8
        bytes.append(littleEndian: UInt64(1000))
        #expect(error(bytes) == .truncated(offset: offset, needed: 1000, available: 0))
        var huge = start() + key("k", type: 8)
        huge.append(littleEndian: UInt64.max)
        #expect(
            error(huge) == .overLimit(.stringBytes, count: .max, limit: 4 << 20)
        )
    }

    @Test func `an array that claims more than the file holds is refused`() {
        for type: UInt32 in [0, 8, 9, 10] {
            var bytes = start() + key("k", type: 9)
            bytes.append(littleEndian: type)
            bytes.append(littleEndian: UInt64(4 << 20))
            guard case .truncated = error(bytes) else {
                Issue.record("type \(type): \(String(describing: error(bytes)))")
                continue
            }
        }
        var bytes = start() + key("k", type: 9)
        bytes.append(littleEndian: UInt32(0))
        bytes.append(littleEndian: UInt64.max)
        #expect(error(bytes) == .overLimit(.arrayElements, count: .max, limit: 4 << 20))
    }

    @Test func `arrays nest to a limit`() {
        func nested(_ levels: Int) -> [UInt8] {
            var bytes = start() + key("k", type: 9)
            for level in 1...levels {
                bytes.append(littleEndian: UInt32(level == levels ? 0 : 9))
                bytes.append(littleEndian: UInt64(1))
            }
            return bytes + [7]
        }
        #expect(error(nested(3)) == nil)
        #expect(error(nested(4)) == .overLimit(.arrayNesting, count: 4, limit: 3))
        #expect(error(nested(1000)) == .overLimit(.arrayNesting, count: 4, limit: 3))
    }

    @Test func `a header has a limit of bytes`() {
        var bytes = start() + key("k", type: 9)
        bytes.append(littleEndian: UInt32(9))
        bytes.append(littleEndian: UInt64(100))
        for _ in 0..<100 {
            bytes.append(littleEndian: UInt32(10))
            bytes.append(littleEndian: UInt64(4 << 20))
        }
        // Each inner array jumps over 32 MiB of a file that claims to be huge.
        let failure = error(bytes, byteCount: .max)
        guard case .truncated = failure else {
            Issue.record("\(String(describing: failure))")
            return
        }
        var limits = GGUFReader.Limits()
        limits.headerByteLimit = 64
        #expect(throws: GGUFError.overLimit(.headerBytes, count: 66, limit: 64)) {
            try header(
                of: start() + key(String(repeating: "k", count: 34), type: 0),
                limits: limits
            )
        }
    }

    @Test func `unknown types and repeated keys are refused by name`() {
        #expect(error(start() + key("k", type: 13)) == .unknownValueType(13, key: "k"))
        let entry = key("k", type: 0) + [1]
        #expect(error(start(metadata: 2) + entry + entry) == .duplicateKey("k"))
    }

    @Test(arguments: [0, 1, 4, 24, 1 << 17, 1 << 31])
    func `an impossible alignment is refused`(alignment: UInt32) {
        var bytes = start() + key("general.alignment", type: 4)
        bytes.append(littleEndian: alignment)
        #expect(error(bytes) == .invalidAlignment(UInt64(alignment)))
    }

    private func tensor(
        _ dimensions: [UInt64],
        type: UInt32 = 0,
        offset: UInt64 = 0
    ) -> [UInt8] {
        var bytes = start(tensors: 1, metadata: 0)
        bytes.append(littleEndian: UInt64(1))
        bytes.append(UInt8(ascii: "t"))
        bytes.append(littleEndian: UInt32(dimensions.count))
        for dimension in dimensions { bytes.append(littleEndian: dimension) }
        bytes.append(littleEndian: type)
        bytes.append(littleEndian: offset)
        return bytes
    }

    @Test func `impossible tensors are refused by name`() {
        #expect(
            error(tensor([1, 1, 1, 1, 1])) == .overLimit(.dimensions, count: 5, limit: 4)
        )
        for dimensions: [UInt64] in [[0], [4, 0], [1 << 62], [1 << 32, 1 << 32], [.max, .max]] {
            #expect(error(tensor(dimensions)) == .invalidDimensions(dimensions, tensor: "t"))
        }
        #expect(error(tensor([8], type: 99)) == .unknownTensorType(99, tensor: "t"))
        #expect(
            error(tensor([300], type: 12))
                == .partialBlock(rowLength: 300, blockLength: 256, tensor: "t")
        )
        #expect(
            error(tensor([8], offset: 31))
                == .misalignedTensor(offset: 31, alignment: 32, tensor: "t")
        )
    }

    @Test func `a tensor outside the file is refused`() {
        let bytes = tensor([8], offset: 64)
        let dataOffset = UInt64(bytes.count + 31) / 32 * 32
        #expect(error(bytes, byteCount: dataOffset + 96) == nil)
        #expect(
            error(bytes, byteCount: dataOffset + 95)
                == .tensorOutsideFile(end: 96, available: 95, tensor: "t")
        )
        #expect(
            error(tensor([8], offset: .max - 31), byteCount: .max)
                == .tensorOutsideFile(end: .max, available: .max - dataOffset, tensor: "t")
        )
    }

    @Test func `tensors that share bytes cannot overflow the sums`() throws {
        var bytes = Array("GGUF".utf8)
        bytes.append(littleEndian: UInt32(3))
        bytes.append(littleEndian: UInt64(3))
        bytes.append(littleEndian: UInt64(5))
        bytes += key("general.architecture", type: 8)
        bytes.append(littleEndian: UInt64(1))
        bytes.append(UInt8(ascii: "x"))
        for name in ["block_count", "embedding_length", "context_length", "attention.head_count"] {
            bytes += key("x." + name, type: 4)
            bytes.append(littleEndian: UInt32(1))
        }
        for name in ["token_embd.weight", "blk.0.a", "blk.0.b"] {
            bytes.append(littleEndian: UInt64(name.utf8.count))
            bytes += Array(name.utf8)
            bytes.append(littleEndian: UInt32(1))
            bytes.append(littleEndian: UInt64(1) << 63)
            bytes.append(littleEndian: UInt32(27))
            bytes.append(littleEndian: UInt64(0))
        }
        #expect(throws: GGUFError.self) { try header(of: bytes, byteCount: .max) }
        let typeOffset = bytes.count - 12
        // Of bytes instead of 64-bit numbers they fit the file, and their sum saturates.
        for tensor in 0..<3 { bytes[typeOffset - tensor * 39] = 24 }
        let facts = try ModelFacts(try header(of: bytes, byteCount: .max))
        #expect(facts.layerByteCounts == [ByteCount(.max)])
        #expect(facts.workerByteCount == ByteCount(.max))
    }
}
