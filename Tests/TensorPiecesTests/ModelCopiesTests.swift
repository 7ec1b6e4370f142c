import Testing
@testable import TensorPieces

@Suite struct ModelCopiesTests {
    private let stamp = ModelCopies.Stamp(byteCount: 1 << 20, modified: 1)

    private func tensor(_ name: String, at offset: UInt64, _ byteCount: UInt64 = 40_000)
        -> ModelCopies.Tensor
    {
        ModelCopies.Tensor(name: name, offset: offset, byteCount: byteCount)
    }

    private func place(_ name: String, _ offset: UInt64 = 0, of byteCount: UInt64 = 40_000)
        -> TensorPlace
    {
        TensorPlace(name: name, byteCount: byteCount, offset: offset)
    }

    @Test func `a piece may be where its tensor is, in files with such a tensor`() {
        var copies = ModelCopies()
        copies.put("a", stamp, [tensor("x", at: 100), tensor("y", at: 50_000)])
        copies.put("b", stamp, [tensor("x", at: 700, 50_000), tensor("y", at: 900)])
        func places(_ place: TensorPlace, _ byteCount: Int) -> [ModelCopies.Place] {
            copies.places(of: place, byteCount: byteCount)
        }
        #expect(places(place("x"), 40_000) == [ModelCopies.Place(path: "a", offset: 100)])
        #expect(
            places(place("y", 10_000), 30_000) == [
                ModelCopies.Place(path: "a", offset: 60_000),
                ModelCopies.Place(path: "b", offset: 10_900),
            ]
        )
        #expect(places(place("z"), 40_000).isEmpty)
        #expect(places(place("x", 10_001), 30_000).isEmpty)
        #expect(places(place("x", 40_001), 0).isEmpty)
        #expect(places(place("x", .max), 30_000).isEmpty)
        #expect(copies.pieceCount == 4)
        copies.remove("a")
        #expect(places(place("y"), 10).map(\.path) == ["b"])
        #expect(copies.stamp(of: "a") == nil && copies.stamp(of: "b") == stamp)
    }

    @Test func `who had it last is asked first, and who never has it no more`() {
        var copies = ModelCopies()
        for number in 0..<10 { copies.put("\(number)", stamp, [tensor("x", at: 0)]) }
        func asked() -> [String] { copies.places(of: place("x"), byteCount: 10).map(\.path) }
        #expect(asked() == ["0", "1", "2", "3"])
        copies.matched("7")
        #expect(asked() == ["7", "0", "1", "2"])
        for file in asked() { copies.missed(file) }
        #expect(asked() == ["3", "4", "5", "6"])
        copies.matched("7")
        #expect(asked() == ["7", "3", "4", "5"])
        for _ in 0..<ModelCopies.missLimit {
            for number in 0..<10 where number != 7 { copies.missed("\(number)") }
        }
        #expect(asked() == ["7"])
        for _ in 0..<ModelCopies.missLimit { copies.missed("7") }
        #expect(asked().isEmpty)
        copies.begin()
        #expect(asked() == ["7", "0", "1", "2"])
    }

    @Test func `no more is kept than the limits allow`() {
        var copies = ModelCopies()
        let many = (0..<ModelCopies.tensorLimit).map { tensor("\($0)", at: 0, 1) }
        copies.put("a", stamp, [tensor("x", at: 0)])
        copies.put("b", stamp, many)
        #expect(copies.places(of: place("0", of: 1), byteCount: 1).count == 1)
        let last = place("\(ModelCopies.tensorLimit - 1)", of: 1)
        #expect(copies.places(of: last, byteCount: 1).isEmpty)
        for number in 0..<2000 { copies.put("f\(number)", stamp, []) }
        #expect(copies.paths.count == ModelCopies.fileLimit)
    }
}
