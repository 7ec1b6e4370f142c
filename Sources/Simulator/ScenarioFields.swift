import Primitives

/// The members of one object of a scenario, each to be taken once; what is left is an error.
struct ScenarioFields {
    private var members: [JSONMember]
    private let position: SourcePosition
    let path: String

    /// - Parameter keys: all that may be here. What else there is, is the error, before anything
    ///   that is missing: most of the time it is what is missing, misspelt.
    init(_ value: JSONValue, path: String, keys: [String]) throws(ScenarioError) {
        guard case .object(let members) = value.content else {
            throw ScenarioError(
                "expected an object, found \(value.kind)",
                at: value.position,
                keyPath: path
            )
        }
        self.members = members
        position = value.position
        self.path = path
        guard let stranger = members.first(where: { !keys.contains($0.name) }) else { return }
        let name = stranger.name.cut(toByteCount: 60)
        let guess = keys.min { EditDistance.of($0, name) < EditDistance.of($1, name) }
        var message = "unknown key \"\(name)\""
        if let guess, EditDistance.of(guess, name) <= 2 {
            message += ", did you mean \"\(guess)\"?"
        }
        message += "; known here: \(keys.sorted().joined(separator: ", "))"
        throw ScenarioError(message, at: stranger.position, keyPath: path)
    }

    func path(of key: String) -> String { path.isEmpty ? key : path + "." + key }

    /// Names of what has not been taken.
    var remaining: [String] { members.map(\.name) }

    mutating func take(_ key: String) -> JSONValue? {
        guard let index = members.firstIndex(where: { $0.name == key }) else { return nil }
        return members.remove(at: index).value
    }

    /// Takes a value and reads it.
    mutating func take<Value>(
        _ key: String,
        _ read: (JSONValue, String) throws(ScenarioError) -> Value
    ) throws(ScenarioError) -> Value? {
        guard let value = take(key) else { return nil }
        return try read(value, path(of: key))
    }

    mutating func demand<Value>(
        _ key: String,
        _ read: (JSONValue, String) throws(ScenarioError) -> Value
    ) throws(ScenarioError) -> Value {
        guard let value = try take(key, read) else { throw missing(key) }
        return value
    }

    func missing(_ key: String) -> ScenarioError {
        ScenarioError("the key \"\(key)\" is missing", at: position, keyPath: path)
    }
}

/// How far apart two words are.
enum EditDistance {
    /// The number of bytes to put in, to take out or to change (Levenshtein).
    static func of(_ first: String, _ second: String) -> Int {
        let target = Array(second.utf8)
        var row = Array(0...target.count)
        for (line, byte) in first.utf8.enumerated() {
            var diagonal = row[0]
            row[0] = line + 1
            for column in target.indices {
                let change = diagonal + (byte == target[column] ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(change, row[column] + 1, diagonal + 1)
            }
        }
        return row[target.count]
    }
}

/// Reads the small values of which scenarios are made.
enum ScenarioValue {
    static func mismatch(
        _ expected: String,
        _ value: JSONValue,
        _ path: String
    ) -> ScenarioError {
        let found: String
        switch value.content {
        case .text(let text): found = "\"\(text.cut(toByteCount: 60))\""
        case .number(let number): found = "\(number)"
        case .object, .array, .flag, .null: found = value.kind
        }
        return ScenarioError(
            "expected \(expected), found \(found)",
            at: value.position,
            keyPath: path
        )
    }

    static func text(_ value: JSONValue, _ path: String) throws(ScenarioError) -> String {
        guard case .text(let text) = value.content else { throw mismatch("a text", value, path) }
        return text
    }

    static func integer(
        in range: ClosedRange<Int>
    ) -> (JSONValue, String) throws(ScenarioError) -> Int {
        { value, path throws(ScenarioError) in
            guard case .number(let number) = value.content, let integer = Int(exactly: number),
                range.contains(integer)
            else {
                let expected = "a whole number from \(range.lowerBound) to \(range.upperBound)"
                throw mismatch(expected, value, path)
            }
            return integer
        }
    }

    /// A whole number; a text for those that JSON's numbers cannot hold.
    static func seed(_ value: JSONValue, _ path: String) throws(ScenarioError) -> UInt64 {
        if case .text(let text) = value.content, let seed = UInt64(text) { return seed }
        // From 2^53 on, a number in JSON stands for its neighbours, too.
        return UInt64(try integer(in: 0...(1 << 53 - 1))(value, path))
    }

    static func number(
        in range: ClosedRange<Double>
    ) -> (JSONValue, String) throws(ScenarioError) -> Double {
        { value, path throws(ScenarioError) in
            guard case .number(let number) = value.content, range.contains(number) else {
                let expected = "a number from \(range.lowerBound) to \(range.upperBound)"
                throw mismatch(expected, value, path)
            }
            return number
        }
    }

    static func share(_ value: JSONValue, _ path: String) throws(ScenarioError) -> Double {
        try number(in: 0...1)(value, path)
    }

    static func duration(_ value: JSONValue, _ path: String) throws(ScenarioError) -> Duration {
        guard case .text(let text) = value.content,
            let duration = Duration(scenarioText: text)
        else { throw mismatch("a duration such as \"250ms\", \"1.5s\" or \"10m\"", value, path) }
        return duration
    }

    static func choice<Choice: RawRepresentable<String> & CaseIterable>(
        _ type: Choice.Type
    ) -> (JSONValue, String) throws(ScenarioError) -> Choice {
        { value, path throws(ScenarioError) in
            let names = type.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
            guard case .text(let text) = value.content, let choice = Choice(rawValue: text) else {
                throw mismatch("one of \(names)", value, path)
            }
            return choice
        }
    }

    static func list<Element>(
        of read: (JSONValue, String) throws(ScenarioError) -> Element,
        _ value: JSONValue,
        _ path: String
    ) throws(ScenarioError) -> [Element] {
        guard case .array(let values) = value.content else {
            throw mismatch("a list", value, path)
        }
        var elements: [Element] = []
        for (index, value) in values.enumerated() {
            elements.append(try read(value, "\(path)[\(index)]"))
        }
        return elements
    }
}
