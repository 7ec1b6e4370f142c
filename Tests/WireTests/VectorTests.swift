import Primitives
import Testing
import Wire

/// The vectors of Protocols/vectors, as they stand there.
struct VectorTests {
    @Test func `every file has valid and invalid vectors`() {
        #expect(Vectors.valid.count > 60)
        #expect(Vectors.invalid.count > 90)
    }

    @Test(arguments: Vectors.valid)
    func `a valid vector decodes to its fields`(_ vector: Vector) throws {
        let fields = try #require(vector.fields)
        switch vector.layer {
        case .message: #expect(try Coding.message(vector.bytes) == Message(fields))
        case .frame: #expect(try Frame(decoding: vector.bytes.span) == Frame(fields))
        case .datagram:
            let datagram = try Coding.datagram(vector.bytes)
            #expect(datagram.header == (try WireHeader(fields.object("header"))))
            #expect(datagram.messages == (try fields.objects("messages").map(Message.init)))
            #expect(datagram.unknownCount == (try fields.integer("unknown")))
        case .stream:
            let (frames, reader, error) = Coding.read([vector.bytes])
            #expect(error == nil)
            #expect(reader.header == (try WireHeader(fields.object("header"))))
            #expect(frames == (try fields.objects("frames").map(Frame.init)))
            #expect(reader.unknownCount == (try fields.integer("unknown")))
        }
    }

    @Test(arguments: Vectors.valid.filter { !$0.isDecodeOnly })
    func `the fields of a vector encode to its bytes`(_ vector: Vector) throws {
        let fields = try #require(vector.fields)
        switch vector.layer {
        case .message: #expect(Coding.encoded(try Message(fields)) == vector.bytes)
        case .frame: #expect(Coding.encoded(try Frame(fields)) == vector.bytes)
        case .datagram:
            let datagram = Datagram(
                header: try WireHeader(fields.object("header")),
                messages: try fields.objects("messages").map(Message.init)
            )
            #expect(Coding.encoded(datagram) == vector.bytes)
        case .stream:
            var bytes: [UInt8] = []
            try WireHeader(fields.object("header")).encode(into: &bytes)
            for frame in try fields.objects("frames") { bytes += try Frame(frame).encoded }
            #expect(bytes == vector.bytes)
        }
    }

    @Test(arguments: Vectors.invalid)
    func `an invalid vector is refused with its error`(_ vector: Vector) throws {
        #expect(throws: try #require(vector.error)) {
            try Coding.decode(vector.bytes, as: vector.layer)
        }
    }

    @Test func `every error occurs in the vectors`() {
        let reasons = Set(Vectors.invalid.compactMap(\.error?.reason))
        #expect(
            reasons == [
                "truncated", "badMagic", "unsupportedVersion", "otherCluster", "badValue",
                "badText", "tooMany", "frameTooLong", "trailingBytes",
            ]
        )
    }

    @Test func `every message and frame kind occurs in the vectors`() throws {
        let kinds = { (layer: Vector.Layer) in
            Set(Vectors.valid.filter { $0.layer == layer }.compactMap(\.bytes.first))
        }
        #expect(kinds(.message) == Set(MalformedBytesTests.messageKinds))
        #expect(kinds(.frame) == Set(MalformedBytesTests.frameKinds))
    }

    @Test func `every message and frame kind occurs in an invalid vector`() {
        for (layer, kinds) in [
            (Vector.Layer.message, MalformedBytesTests.messageKinds),
            (.frame, MalformedBytesTests.frameKinds),
        ] {
            for kind in kinds {
                let invalid = Vectors.invalid.filter {
                    $0.layer == layer && $0.bytes.first == kind
                }
                #expect(!invalid.isEmpty, "\(layer) \(kind)")
            }
        }
    }

    @Test func `the tag of a cluster is the FNV-1a-64 of its name`() {
        #expect(WireHeader.tag(ofCluster: "caravan") == 0x383D_349B_92B6_9FB5)
    }
}
