/// Finds the mirror of Debian's main archive among a machine's configured package sources.
///
/// Reads both styles: lines (`deb [options] URI suite component…`) and stanzas (deb822). Other
/// repositories and the security archive are passed over: they do not carry llama.cpp, and may be
/// signed by anybody.
package struct AptSources {
    /// A source as far as the choice needs it.
    package struct Entry: Hashable {
        package var uri: String
        package var suites: [String]
        package var components: [String]
        /// A path of a keyring; nil when the entry names none, or names a key otherwise.
        package var keyring: String?
        /// Whether the entry names a key or keyring at all.
        package var isSigned: Bool
    }

    static let keyringName = "debian-archive-keyring"
    private static let debianSuites = [
        "stable", "oldstable", "testing", "unstable", "sid", "bookworm", "trixie", "forky",
    ]

    package private(set) var entries: [Entry] = []

    package init() {}

    /// Adds the sources of one file, told apart by its name.
    package mutating func read(_ text: String, fileName: String) {
        if fileName.hasSuffix(".sources") {
            readStanzas(text)
        } else {
            readLines(text)
        }
    }

    /// The entry for Debian's main archive; nil when there is none.
    ///
    /// One signed by Debian's keyring wins over one that does not say; entries signed by other
    /// keys are no candidates. `codename` is that of the installed release, if it has one.
    package func mainArchive(codename: String?) -> Entry? {
        let candidates = entries.filter { entry in
            let knownSuites = Self.debianSuites + (codename.map { [$0] } ?? [])
            let isDebianKey = entry.keyring.map { Self.isDebianKeyring($0) } ?? !entry.isSigned
            return isDebianKey && entry.components.contains("main")
                && entry.suites.contains { knownSuites.contains($0) }
                && !entry.uri.contains("debian-security") && !entry.uri.hasPrefix("cdrom:")
        }
        return candidates.first { $0.isSigned }
            ?? candidates.first { Self.looksLikeDebian($0.uri) } ?? candidates.first
    }

    private static func isDebianKeyring(_ path: String) -> Bool {
        lastComponent(path).hasPrefix("debian-archive-")
    }

    private static func looksLikeDebian(_ uri: String) -> Bool {
        uri.hasSuffix("/debian") || uri.hasSuffix("/debian/")
    }

    // MARK: - One line an entry

    private mutating func readLines(_ text: String) {
        for line in text.split(separator: "\n") {
            let line = line.prefix { $0 != "#" }
            var words = line.split { $0 == " " || $0 == "\t" }[...]
            guard words.first == "deb" else { continue }
            words.removeFirst()
            var options: [Substring] = []
            if words.first?.hasPrefix("[") == true {
                // `[a=b c=d]`, also with spaces inside the brackets.
                while let word = words.popFirst() {
                    options.append(word)
                    if word.hasSuffix("]") { break }
                }
            }
            guard words.count >= 3, let uri = words.popFirst(), let suite = words.popFirst() else {
                continue
            }
            let cleaned = options.map { $0.drop { $0 == "[" }.prefix { $0 != "]" } }
            let signature = cleaned.first { $0.hasPrefix("signed-by=") }?
                .dropFirst("signed-by=".count)
            add(
                uris: [uri],
                suites: [suite],
                components: Array(words),
                signedBy: signature
            )
        }
    }

    // MARK: - Stanzas

    private mutating func readStanzas(_ text: String) {
        var fields: [(name: String, value: String)] = []
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("#") { continue }
            if line.allSatisfy({ $0 == " " || $0 == "\t" || $0 == "\r" }) {
                add(fields)
                fields = []
            } else if line.hasPrefix(" ") || line.hasPrefix("\t") {
                guard !fields.isEmpty else { continue }
                fields[fields.count - 1].value += " " + line
            } else if let colon = line.firstIndex(of: ":") {
                let value = String(line[colon...].dropFirst())
                fields.append((String(line[..<colon]).lowercased(), value))
            }
        }
        add(fields)
    }

    private mutating func add(_ fields: [(name: String, value: String)]) {
        func words(_ name: String) -> [Substring] {
            let value = fields.last { $0.name == name }?.value ?? ""
            return value[...].split { $0 == " " || $0 == "\t" || $0 == "\r" }
        }
        guard words("types").contains("deb"), words("enabled").first != "no" else { return }
        add(
            uris: words("uris"),
            suites: words("suites"),
            components: words("components"),
            signedBy: words("signed-by").first
        )
    }

    private mutating func add(
        uris: [Substring],
        suites: [Substring],
        components: [Substring],
        signedBy: Substring?
    ) {
        for uri in uris {
            entries.append(
                Entry(
                    uri: String(uri),
                    suites: suites.map(String.init),
                    components: components.map(String.init),
                    keyring: signedBy.flatMap { $0.hasPrefix("/") ? String($0) : nil },
                    isSigned: signedBy != nil
                )
            )
        }
    }
}
