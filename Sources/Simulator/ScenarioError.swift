/// What is wrong with a scenario: one sentence that says where and what was expected.
package struct ScenarioError: Error, Equatable, CustomStringConvertible {
    package var message: String
    package var position: SourcePosition?
    /// `faults[1].crash.node`; empty for the whole.
    package var keyPath: String

    package init(_ message: String, at position: SourcePosition? = nil, keyPath: String = "") {
        self.message = message
        self.position = position
        self.keyPath = keyPath
    }

    /// `12:5: faults[1].crash.node: …`, to be put behind the file's name.
    package var description: String {
        let place = position.map { "\($0.line):\($0.column): " } ?? ""
        let text = place + (keyPath.isEmpty ? "" : keyPath + ": ") + message
        // Names come from the file, and an error is one line that does nothing to a terminal.
        return String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { $0.properties.generalCategory == .control ? "?" : $0 }
            )
        )
    }
}
