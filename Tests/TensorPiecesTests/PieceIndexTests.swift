import Primitives
import Testing
@testable import TensorPieces

@Suite struct PieceIndexTests {
    private func name(_ number: UInt8) -> PieceName { PieceName(of: [number]) }

    @Test func `the piece that was used longest ago makes room`() {
        var index = PieceIndex(byteLimit: 30)
        let first = index.begin()
        for number in 1...3 as ClosedRange<UInt8> {
            #expect(index.admit(name(number), byteCount: 10, since: first) == [])
        }
        index.use(name(1))
        let second = index.begin()
        #expect(index.admit(name(4), byteCount: 10, since: second) == [name(2)])
        #expect(index.byteCount(of: name(1)) == 10)
        #expect(index.byteCount == 30)
        #expect(index.count == 3)
    }

    @Test func `a model larger than the store keeps as much of itself as fits`() {
        var index = PieceIndex(byteLimit: 30)
        for _ in 0..<3 {
            let begin = index.begin()
            var hits = 0
            for number in 1...5 as ClosedRange<UInt8> {
                if index.byteCount(of: name(number)) != nil {
                    index.use(name(number))
                    hits += 1
                } else {
                    _ = index.admit(name(number), byteCount: 10, since: begin)
                }
            }
            #expect(hits == (begin == 1 ? 0 : 3))
        }
        #expect(index.byteCount == 30)
    }

    @Test func `what cannot be kept changes nothing`() {
        var index = PieceIndex(byteLimit: 30, countLimit: 2)
        let begin = index.begin()
        #expect(index.admit(name(1), byteCount: 31, since: begin) == nil)
        #expect(index.admit(name(1), byteCount: 10, since: begin) == [])
        #expect(index.admit(name(1), byteCount: 10, since: begin) == [])
        #expect(index.admit(name(2), byteCount: 10, since: begin) == [])
        #expect(index.admit(name(3), byteCount: 5, since: begin) == nil)
        #expect(index.count == 2)
        #expect(index.byteCount == 20)
        var nothing = PieceIndex(byteLimit: 0)
        #expect(nothing.admit(name(1), byteCount: 1, since: nothing.begin()) == nil)
    }

    @Test func `several small pieces make room for a large one`() {
        var index = PieceIndex(byteLimit: 30)
        _ = index.load([(name(1), 10), (name(2), 10), (name(3), 10)])
        let begin = index.begin()
        #expect(index.admit(name(4), byteCount: 15, since: begin) == [name(1), name(2)])
        #expect(index.byteCount == 25)
    }

    @Test func `a lower limit lets the oldest go`() {
        var index = PieceIndex(byteLimit: 25)
        #expect(index.load([(name(1), 10), (name(2), 10), (name(3), 10)]) == [name(1)])
        #expect(index.limit(to: 10) == [name(2)])
        #expect(index.byteCount(of: name(3)) == 10)
        index.remove(name(3))
        index.remove(name(3))
        #expect(index.byteCount == 0)
        #expect(index.count == 0)
    }

    @Test(arguments: 0..<10 as Range<UInt64>)
    func `its sums and its list hold whatever is done to it`(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var index = PieceIndex(byteLimit: 500, countLimit: 20)
        var model: [(name: PieceName, byteCount: Int)] = []
        var begin = index.begin()
        for _ in 0..<3000 {
            let name = name(UInt8(generator.below(60)))
            switch generator.below(8) {
            case 0: begin = index.begin()
            case 1:
                index.remove(name)
                model.removeAll { $0.name == name }
            case 2, 3:
                index.use(name)
                if let place = model.firstIndex(where: { $0.name == name }) {
                    model.append(model.remove(at: place))
                }
            default:
                let byteCount = 1 + generator.below(60)
                if let place = model.firstIndex(where: { $0.name == name }) {
                    #expect(index.admit(name, byteCount: byteCount, since: begin) == [])
                    model.append(model.remove(at: place))
                } else if let victims = index.admit(name, byteCount: byteCount, since: begin) {
                    // Always the oldest.
                    #expect(victims == model.prefix(victims.count).map(\.name))
                    model.removeFirst(victims.count)
                    model.append((name, byteCount))
                }
            }
            #expect(index.count == model.count)
            #expect(index.byteCount == model.reduce(0) { $0 + UInt64($1.byteCount) })
            #expect(index.byteCount <= 500 && index.count <= 20)
        }
    }
}
