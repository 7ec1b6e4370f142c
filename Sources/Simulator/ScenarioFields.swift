import Primitives

/// The members of one object of a scenario, each to be taken once; what is left is an error.
struct ScenarioFields {
    private var members: [JSONMember]
    private let position: SourcePosition
    let path: String
    private var known: [String] = []

    init(_ value: JSONValue, path: String) throws(ScenarioError) {
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
    }

    func path(of key: String) -> String { path.isEmpty ? key : path + "." + key }

    /// Names of what has not been taken.
    var remaining: [String] { members.map(\.name) }

    mutating func take(_ key: String) -> JSONValue? {
        known.append(key)
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

    /// Refuses what nobody took.
    func finish() throws(ScenarioError) {
        guard let stranger = members.first else { return }
        let keys = known.sorted().joined(separator: ", ")
        throw ScenarioError(
            "unknown key \"\(stranger.name)\"; known here: \(keys)",
            at: stranger.position,
            keyPath: path
        )
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
        return UInt64(try integer(in: 0...(1 << 53))(value, path))
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
