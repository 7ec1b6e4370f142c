/// A tokenizer's pieces for a made-up model, in the form of llama.cpp's `llama` (SPM) tokenizer.
///
/// Any text round-trips, since each byte has its own token. Words become one token: SPM merges
/// neighbours only into pieces that exist, so for each word all its beginnings are pieces too
/// (`▁w`, `▁wa`, `▁wat`, …). Only whole English words and punctuation are `spoken`; the model is
/// made so that it never chooses the rest, which makes random output read like words. Invented
/// words fill what is left.
struct Vocabulary {
    /// The kinds of llama.cpp's `llama_token_type`.
    enum Kind: Int32 {
        case normal = 1
        case unknown = 2
        case control = 3
        case byte = 6
    }

    struct Piece: Equatable {
        let text: String
        let kind: Kind
        var isSpoken: Bool
    }

    static let unknownID: UInt32 = 0
    static let beginID: UInt32 = 1
    static let endID: UInt32 = 2
    static let turnEndID: UInt32 = 260

    static let turnBegin = "<|im_start|>"
    static let turnEnd = "<|im_end|>"
    /// What SPM writes for a space.
    static let space: Character = "\u{2581}"

    /// The special tokens, the bytes, the punctuation and room for some words.
    static let smallestCount = 512
    static let countLimit = 200_000

    private(set) var pieces: [Piece] = []
    private let count: Int
    private var identifiers: [String: Int] = [:]

    init(count: Int) {
        precondition(Self.smallestCount...Self.countLimit ~= count, "checked with the shape")
        self.count = count
        pieces.reserveCapacity(count)
        addFixedPieces()
        for word in EnglishWords.all { add(word: word, spoken: true) }
        var number = 0
        while pieces.count < count {
            add(word: Self.inventedWord(number), spoken: false)
            number += 1
        }
    }

    private mutating func addFixedPieces() {
        let digits = Array("0123456789ABCDEF")
        add("<unk>", .unknown)
        add("<s>", .control)
        add("</s>", .control)
        for byte in 0..<256 { add("<0x\(digits[byte >> 4])\(digits[byte & 15])>", .byte) }
        add(Self.turnBegin, .control)
        add(Self.turnEnd, .control)
        add(String(Self.space), .normal)
        for mark in [",", ".", ";", "?", "!"] { add(mark, .normal, spoken: true) }
    }

    private mutating func add(_ text: String, _ kind: Kind, spoken: Bool = false) {
        guard pieces.count < count else { return }
        if let known = identifiers[text] {
            if spoken { pieces[known].isSpoken = true }
            return
        }
        identifiers[text] = pieces.count
        pieces.append(Piece(text: text, kind: kind, isSpoken: spoken))
    }

    private mutating func add(word: some StringProtocol, spoken: Bool) {
        var text = String(Self.space)
        for (index, letter) in word.enumerated() {
            text.append(letter)
            add(text, .normal, spoken: spoken && index == word.count - 1)
        }
    }

    /// A pronounceable word of two or three syllables, another one for each number.
    private static func inventedWord(_ number: Int) -> String {
        let onsets = [
            "b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "st", "tr",
        ]
        let nuclei = ["a", "e", "i", "o", "u"]
        let syllableCount = onsets.count * nuclei.count
        // An odd step coprime to the count visits every combination, neighbours far apart.
        let shortCount = syllableCount * syllableCount
        var rest = number < shortCount ? number * 2203 % shortCount : number
        var word = ""
        for _ in 0..<(number < shortCount ? 2 : 3) {
            let syllable = rest % syllableCount
            word += onsets[syllable % onsets.count] + nuclei[syllable / onsets.count]
            rest /= syllableCount
        }
        return word
    }
}
