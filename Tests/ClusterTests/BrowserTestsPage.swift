import Foundation
import Gateway
import Primitives
import Testing

/// The dashboard as a person has it open, and what went on in it since.
struct DashboardPage {
    let browser: BrowserDriver
    private let origin: String

    /// Notes what happens in the page from its first moment on: what a test that only asks now and
    /// then would miss.
    private static let recorder = """
        (() => {
          const seen = { phases: [], answers: [], problems: [] };
          window.seenByTest = seen;
          const problem = (kind, text) => seen.problems.push(`${kind}: ${text}`);
          addEventListener("error", (event) => problem("error", event.message));
          addEventListener("unhandledrejection", (event) => problem("rejection", event.reason));
          document.addEventListener("securitypolicyviolation", (event) =>
            problem("policy", `${event.violatedDirective} ${event.blockedURI}`));
          for (const level of ["error", "warn"]) {
            const original = console[level].bind(console);
            console[level] = (...parts) => { problem(level, parts.join(" ")); original(...parts); };
          }
          const note = (list, value) => { if (list.at(-1) !== value) list.push(value); };
          new MutationObserver(() => {
            if (document.body?.dataset.phase) note(seen.phases, document.body.dataset.phase);
            const answer = [...document.querySelectorAll(".turn.assistant .said")].at(-1);
            const length = answer?.textContent.length ?? 0;
            // A new answer.
            if (length < seen.answers.at(-1)) seen.answers.length = 0;
            if (length > 0) note(seen.answers, length);
          }).observe(document, {
            subtree: true, childList: true, characterData: true,
            attributes: true, attributeFilter: ["data-phase"],
          });
        })();
        """

    /// Opens an agent's dashboard.
    init(in browser: BrowserDriver, at agent: TestAgent) async throws {
        self.browser = browser
        origin = "http://\(agent.endpoint(TestAgent.httpPort))"
        let parameters = ["source": Self.recorder]
        try await browser.perform(
            "goog/cdp/execute",
            ["cmd": "Page.addScriptToEvaluateOnNewDocument", "params": parameters]
        )
        try await browser.perform("url", ["url": origin + "/"])
    }

    // MARK: - Acting

    /// Opens the page anew; what was noted so far is forgotten.
    func reload() async throws {
        try await browser.perform("refresh")
    }

    func click(_ selector: String) async throws {
        try await browser.perform("element/\(try await element(selector))/click")
    }

    func type(_ text: String, into selector: String) async throws {
        let element = try await element(selector)
        try await browser.perform("element/\(element)/clear")
        try await browser.perform("element/\(element)/value", ["text": text])
    }

    private func element(_ selector: String) async throws -> String {
        let found: [String: String] = try await browser.command(
            "element",
            ["using": "css selector", "value": selector]
        )
        return try #require(found.values.first)
    }

    // MARK: - Asking

    /// The value of a JavaScript expression.
    func value<Value: Decodable>(of expression: String) async throws -> Value {
        try await browser.command(
            "execute/sync",
            ["script": "return \(expression);", "args": [Any]()]
        )
    }

    func text(_ selector: String) async throws -> String {
        let quoted = String(decoding: try JSONEncoder().encode(selector), as: UTF8.self)
        return try await value(of: "document.querySelector(\(quoted))?.innerText ?? ''")
    }

    /// Waits until a JavaScript expression is true.
    func reach(
        _ expression: String,
        within limit: Duration = .seconds(30)
    ) async throws {
        do {
            // Often, as what is waited for may be gone after a moment.
            try await wait(expression, within: limit, every: .milliseconds(20)) {
                try await value(of: "Boolean(\(expression))")
            }
        } catch let problem as Problem {
            throw Problem("\(problem); the page says: \(try await text("body"))")
        }
    }

    /// What the recorder noted.
    struct Seen: Decodable {
        var phases: [String]
        /// How long the newest answer was, each time it had grown.
        var answers: [Int]
        var problems: [String]
    }

    var seen: Seen { get async throws { try await value(of: "window.seenByTest") } }

    /// Nothing went wrong in the page, and it asked nobody but its own agent for anything.
    func expectNoProblems() async throws {
        struct LogEntry: Decodable { var message: String }
        #expect(try await seen.problems == [])
        let log: [LogEntry] = try await browser.command("se/log", ["type": "browser"])
        #expect(log.map(\.message) == [])
        let urls: [String] = try await value(
            of: "performance.getEntriesByType('resource').map((entry) => entry.name)"
        )
        #expect(urls.contains("\(origin)/api/v1/models"))
        let elsewhere = urls.filter { !$0.hasPrefix(origin + "/") && !$0.hasPrefix("data:") }
        #expect(elsewhere == [])
    }

    // MARK: - Looking

    /// How the page is looked at.
    enum View: String {
        case desktop, dark, phone
    }

    /// Where pictures go: `CARAVAN_SCREENSHOTS`, or `.build/screenshots`.
    private static let pictures: String = {
        let named = ProcessInfo.processInfo.environment["CARAVAN_SCREENSHOTS"] ?? ""
        return named.isEmpty ? Built.scratch + "/screenshots" : named
    }()

    /// Takes a picture of what is in view; on the phone, of the whole page.
    func picture(_ name: String, _ view: View = .desktop) async throws {
        struct Picture: Decodable { var data: String }
        try await look(view)
        let picture: Picture = try await browser.devTools(
            "Page.captureScreenshot",
            ["format": "png", "captureBeyondViewport": view == .phone]
        )
        if view == .phone { try await expectNoSidewaysScrolling(name) }
        try await look(.desktop)
        let data = try #require(Data(base64Encoded: picture.data))
        try FileManager.default.createDirectory(
            atPath: Self.pictures,
            withIntermediateDirectories: true
        )
        let path = "\(Self.pictures)/\(name)-\(view.rawValue).png"
        try data.write(to: URL(filePath: path))
        print("screenshot: \(path)")
    }

    private func look(_ view: View) async throws {
        let scheme = view == .dark ? "dark" : "light"
        try await browser.perform(
            "goog/cdp/execute",
            [
                "cmd": "Emulation.setEmulatedMedia",
                "params": ["features": [["name": "prefers-color-scheme", "value": scheme]]],
            ]
        )
        let isPhone = view == .phone
        try await browser.perform(
            "goog/cdp/execute",
            [
                "cmd": "Emulation.setDeviceMetricsOverride",
                "params": [
                    "width": isPhone ? 390 : 1280, "height": isPhone ? 844 : 860,
                    "deviceScaleFactor": isPhone ? 2 : 1, "mobile": isPhone,
                ],
            ]
        )
    }

    private func expectNoSidewaysScrolling(_ name: String) async throws {
        struct Widths: Decodable {
            var page: Int
            var view: Int
        }
        let widths: Widths = try await value(
            of: "{ page: document.documentElement.scrollWidth, view: innerWidth }"
        )
        #expect(widths.view == 390, "\(name)")
        #expect(widths.page <= 390, "\(name) scrolls sideways")
    }
}
