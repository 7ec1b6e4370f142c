import Foundation
import Gateway
import Primitives
import Processes

/// Chromium and the program that drives it, as Debian's chromium and chromium-driver install them.
enum InstalledBrowser {
    static let driver = path(["chromedriver"])
    static let browser = path(["chromium", "chromium-browser", "google-chrome"])
    static let isComplete = driver != nil && browser != nil

    private static func path(_ names: [String]) -> String? {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        for name in names {
            for folder in folders {
                let path = "\(folder)/\(name)"
                if FileManager.default.isExecutableFile(atPath: path) { return path }
            }
        }
        return nil
    }
}

/// A headless browser, driven over W3C WebDriver by a chromedriver of its own.
final class BrowserDriver: Sendable {
    private let program: RunningProgram
    private let client: GatewayClient
    private let session: String
    private let folder: String

    /// A browser that starts while everything else on the machine does.
    private static let startLimit: Duration = .seconds(60)

    private init(
        program: RunningProgram,
        client: GatewayClient,
        session: String,
        folder: String
    ) {
        self.program = program
        self.client = client
        self.session = session
        self.folder = folder
    }

    // MARK: - Life

    fileprivate static func start() async throws -> BrowserDriver {
        guard let driver = InstalledBrowser.driver, let browser = InstalledBrowser.browser else {
            throw Problem("no chromedriver or no chromium in PATH")
        }
        let folder = TestFolder.path + "/browser-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(
            atPath: folder,
            withIntermediateDirectories: true
        )
        let program = RunningProgram(
            ChildCommand(
                executable: driver,
                arguments: ["--port=0"],
                environment: ["HOME": folder, "TMPDIR": folder]
            )
        )
        do {
            var port: UInt16?
            try await wait("chromedriver says its port", within: startLimit) {
                port = program.lines.lazy.compactMap(Self.port).first
                return port != nil
            }
            let endpoint = Endpoint(address: .v4(0x7F00_0001), port: port ?? 0)
            let client = GatewayClient(endpoint: endpoint)
            let session = try await Self.session(client, browser, folder)
            return BrowserDriver(
                program: program,
                client: client,
                session: session,
                folder: folder
            )
        } catch {
            await Self.end(program, folder)
            throw error
        }
    }

    /// The port in a line like `ChromeDriver was started successfully on port 40123`.
    private static func port(_ line: String) -> UInt16? {
        guard let start = line.firstRange(of: "successfully on port ")?.upperBound else {
            return nil
        }
        return UInt16(line[start...].prefix { $0.isNumber })
    }

    private static func session(
        _ client: GatewayClient,
        _ browser: String,
        _ folder: String
    ) async throws -> String {
        struct Session: Decodable { var sessionId: String }
        var arguments = [
            "--headless=new", "--window-size=1280,900", "--user-data-dir=\(folder)/profile",
            // The browser ends when chromedriver does, however that ends.
            "--remote-debugging-pipe",
            // Nothing of what a browser asks its maker by itself leaves this machine.
            "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.*",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-default-apps", "--disable-extensions", "--no-first-run",
            "--no-default-browser-check", "--disable-gpu", "--disable-dev-shm-usage",
            "--force-color-profile=srgb", "--lang=en",
        ]
        // Chromium refuses to sandbox root's processes.
        if getuid() == 0 { arguments.append("--no-sandbox") }
        let options: [String: Any] = ["binary": browser, "args": arguments]
        let wanted: [String: Any] = [
            "browserName": "chrome", "goog:chromeOptions": options,
            "goog:loggingPrefs": ["browser": "ALL"],
        ]
        let body: [String: Any] = ["capabilities": ["alwaysMatch": wanted]]
        let session: Session = try Self.value(
            try await client.post(
                "/session",
                json: [UInt8](try JSONSerialization.data(withJSONObject: body)),
                timeLimit: startLimit
            )
        )
        return session.sessionId
    }

    fileprivate func end() async {
        await Self.end(program, folder, asking: client)
    }

    /// Ends chromedriver and what it started: by asking, and else by their process ids.
    private static func end(
        _ program: RunningProgram,
        _ folder: String,
        asking client: GatewayClient? = nil
    ) async {
        let processes = program.pid.map(ProcessTable.descendants) ?? []
        // Also when the test was cancelled: what was started must be seen to end.
        await Task.detached {
            _ = try? await client?.get("/shutdown", timeLimit: .seconds(10))
            _ = try? await program.end(within: .seconds(5))
            program.signal(.kill)
            _ = try? await program.end(within: .seconds(5))
            try? await wait("the browser ends", within: .seconds(5)) {
                !processes.contains { ProcessTable.isRunning($0.pid) }
            }
            for process in processes where ProcessTable.isRunning(process.pid) {
                kill(process.pid, SIGKILL)
            }
            try? FileManager.default.removeItem(atPath: folder)
        }.value
    }

    // MARK: - Commands

    /// Asks for something of the session; `nil` is a GET.
    func command<Value: Decodable>(
        _ path: String,
        _ body: [String: Any]?
    ) async throws -> Value {
        let path = "/session/\(session)/\(path)"
        guard let body else { return try Self.value(try await client.get(path)) }
        let json = try JSONSerialization.data(withJSONObject: body)
        return try Self.value(try await client.post(path, json: [UInt8](json)))
    }

    /// Does something whose answer is of no interest.
    func perform(_ path: String, _ body: [String: Any] = [:]) async throws {
        let _: Anything = try await command(path, body)
    }

    /// A command of the Chrome DevTools protocol.
    func devTools<Value: Decodable>(
        _ name: String,
        _ parameters: [String: Any] = [:]
    ) async throws -> Value {
        try await command("goog/cdp/execute", ["cmd": name, "params": parameters])
    }

    private struct Anything: Decodable {
        init(from decoder: any Decoder) {}
    }

    private struct Answer<Value: Decodable>: Decodable { var value: Value }

    private struct Failure: Decodable {
        var error: String
        var message: String
    }

    private static func value<Value: Decodable>(
        _ response: GatewayClient.Response
    ) throws -> Value {
        let data = Data(response.body)
        guard response.status == 200 else {
            let reason = try? JSONDecoder().decode(Answer<Failure>.self, from: data).value
            // After its first line comes chromedriver's own stack.
            let message = reason?.message.split(separator: "\n").first ?? ""
            throw Problem("the browser says \(response.status), \(reason?.error ?? ""): \(message)")
        }
        return try JSONDecoder().decode(Answer<Value>.self, from: data).value
    }
}

/// Gives a test a browser, and ends it however the test ends.
func withBrowser(_ body: (BrowserDriver) async throws -> Void) async throws {
    let browser = try await BrowserDriver.start()
    do {
        try await body(browser)
    } catch {
        await browser.end()
        throw error
    }
    await browser.end()
}
