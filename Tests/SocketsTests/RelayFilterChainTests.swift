import Sockets
import Testing

extension SocketsTests {
    /// What passes through several filters, without sockets.
    @Suite struct RelayFilterChainTests {
        /// Says its name after all that passes, and answers `?` itself.
        private final class Marking: RelayFilter {
            let mark: UInt8

            init(_ mark: Character) {
                self.mark = mark.asciiValue ?? 0
            }

            func pass(
                _ bytes: ArraySlice<UInt8>,
                from side: RelaySide,
                toFirst: inout [UInt8],
                toSecond: inout [UInt8]
            ) throws(RelayFilterError) {
                if bytes.contains(UInt8(ascii: "!")) { throw RelayFilterError("a shout") }
                if bytes.contains(UInt8(ascii: "?")), side == .first, mark == UInt8(ascii: "b") {
                    toFirst += [UInt8(ascii: "y"), mark]
                    return
                }
                if side == .first { toSecond += bytes + [mark] } else { toFirst += bytes + [mark] }
            }

            func ended(
                _ side: RelaySide,
                toFirst: inout [UInt8],
                toSecond: inout [UInt8]
            ) {
                if side == .first { toSecond += [UInt8(ascii: "."), mark] }
            }
        }

        private var toFirst: [UInt8] = []
        private var toSecond: [UInt8] = []

        private mutating func pass(
            _ text: String,
            from side: RelaySide,
            through marks: String
        ) throws -> String {
            let chain = RelayFilterChain(marks.map(Marking.init))
            try chain.pass(
                Array(text.utf8)[...],
                from: side,
                toFirst: &toFirst,
                toSecond: &toSecond
            )
            return String(decoding: toFirst, as: UTF8.self) + "|"
                + String(decoding: toSecond, as: UTF8.self)
        }

        @Test(arguments: [
            ("x", RelaySide.first, "abc", "|xabc"), ("x", .second, "abc", "xcba|"),
            ("x", .first, "a", "|xa"), ("x", .second, "", "x|"), ("x", .first, "", "|x"),
            // The middle one answers; the answer passes the ones before it only.
            ("?", .first, "abc", "yba|"), ("?", .second, "abc", "?cba|"),
        ])
        mutating func `bytes meet the filters in the order of their way`(
            text: String,
            side: RelaySide,
            marks: String,
            result: String
        ) throws {
            #expect(try pass(text, from: side, through: marks) == result)
        }

        @Test mutating func `an error of one ends it for all`() {
            #expect(throws: RelayFilterError.self) { try pass("!", from: .first, through: "abc") }
        }

        @Test mutating func `what one says at the end passes the ones behind it`() throws {
            let chain = RelayFilterChain("abc".map(Marking.init))
            try chain.ended(.first, toFirst: &toFirst, toSecond: &toSecond)
            #expect(String(decoding: toSecond, as: UTF8.self) == ".abc.bc.c")
            #expect(toFirst.isEmpty)
        }
    }
}
