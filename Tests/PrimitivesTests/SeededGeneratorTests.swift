import Primitives
import Testing

struct SeededGeneratorTests {
    /// Published values of SplitMix64.
    @Test(
        arguments: [
            (
                0,
                [
                    0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4, 0x06C4_5D18_8009_454F,
                    0xF88B_B8A8_724C_81EC,
                ]
            ),
            (
                1_234_567,
                [
                    6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423,
                    4_593_380_528_125_082_431, 16_408_922_859_458_223_821,
                ]
            ),
        ] as [(UInt64, [UInt64])]
    )
    func `the sequence is that of SplitMix64`(seed: UInt64, values: [UInt64]) {
        var generator = SeededGenerator(seed: seed)
        #expect(values.map { _ in generator.next() } == values)
    }

    @Test func `equal seeds give equal sequences, and derived ones differ`() {
        var first = SeededGenerator(seed: 9)
        var second = SeededGenerator(seed: 9)
        var derived = first.derived(0)
        var other = first.derived(1)
        let values = (0..<100).map { _ in first.next() }
        #expect(values == (0..<100).map { _ in second.next() })
        let derivedValues = (0..<100).map { _ in derived.next() }
        #expect(Set(values).isDisjoint(with: derivedValues))
        #expect(Set(derivedValues).isDisjoint(with: (0..<100).map { _ in other.next() }))
    }

    @Test func `deriving changes nothing`() {
        var generator = SeededGenerator(seed: 9)
        var untouched = generator
        _ = generator.derived(3)
        #expect(generator.next() == untouched.next())
    }

    @Test(arguments: [1, 2, 3, 7, 1000])
    func `numbers below a bound are below it, and all occur evenly`(bound: Int) {
        var generator = SeededGenerator(seed: 1)
        var counts = [Int](repeating: 0, count: bound)
        let rounds = 200 * bound
        for _ in 0..<rounds { counts[generator.below(bound)] += 1 }
        #expect(counts.allSatisfy { (100...300).contains($0) })
    }

    @Test func `fractions and durations stay in their ranges`() {
        var generator = SeededGenerator(seed: 2)
        for _ in 0..<10_000 {
            #expect((0..<1).contains(generator.fraction()))
            let duration = generator.duration(in: .milliseconds(5)...(.milliseconds(6)))
            #expect((.milliseconds(5)...(.milliseconds(6))).contains(duration))
        }
        #expect(generator.duration(in: .seconds(1)...(.seconds(1))) == .seconds(1))
    }

    @Test func `shuffling keeps the elements and reaches every order`() {
        var generator = SeededGenerator(seed: 3)
        var orders: Set<[Int]> = []
        for _ in 0..<200 {
            var elements = [1, 2, 3]
            generator.shuffle(&elements)
            #expect(elements.sorted() == [1, 2, 3])
            orders.insert(elements)
        }
        #expect(orders.count == 6)
        var none: [Int] = []
        generator.shuffle(&none)
        #expect(none.isEmpty)
    }
}
