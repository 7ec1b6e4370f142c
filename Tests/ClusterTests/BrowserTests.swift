import Foundation
import Gateway
import Processes
import Testing

extension ClusterTests {
    @Suite(
        .needsEngine,
        .enabled(
            if: InstalledBrowser.isComplete,
            "no chromedriver or no chromium: apt-get install chromium chromium-driver"
        )
    )
    struct Browser {
        /// Large enough that a person, and this test, sees it being loaded and answering.
        private static let model = "browser.gguf"
        private static let modelSize = "120MB"

        @Test func `a person launches a model in the dashboard, chats with it and stops it`()
            async throws
        {
            try await withCluster { cluster in
                try await withModel {
                    let (_, workers) = try await cluster.form(3)
                    try await withBrowser { browser in
                        let page = try await DashboardPage(in: browser, at: workers[0])
                        try await seeDevices(page, workers[0])
                        try await launch(page)
                        try await page.expectNoProblems()
                        // Nothing changes in the cluster now: a new page hears of it all the same.
                        try await page.reload()
                        try await seeLayers(page)
                        try await chat(page)
                        try await stopAnswer(page)
                        try await stop(page)
                        try await page.expectNoProblems()
                    }
                }
            }
        }

        private func withModel(_ body: () async throws -> Void) async throws {
            let path = try await TestModels.folder + "/" + Self.model
            let output = try await Built.run(
                ["model", "tiny", path, "--size", Self.modelSize],
                timeout: .seconds(60)
            )
            try #require(output.exit.isSuccess, "no model: \(output.standardError)")
            // Other tests expect only their own model in the folder.
            defer { try? FileManager.default.removeItem(atPath: path) }
            try await body()
        }

        // MARK: - What the person does

        private func seeDevices(_ page: DashboardPage, _ own: TestAgent) async throws {
            try await page.reach(
                """
                document.querySelectorAll('#devices > li[data-state="alive"]').length === 3 \
                && document.querySelector('#live').dataset.state === "live" \
                && document.querySelectorAll('#devices [data-role="master"]').length === 1
                """
            )
            let status = try await own.status()
            #expect(status.`self` != status.master)
            let master: String = try await page.value(
                of: """
                    document.querySelector('#devices [data-role="master"]').closest("li")\
                    .dataset.node
                    """
            )
            #expect(master == status.master)
            try await page.reach("!document.querySelector('#launch').disabled")
            try await page.picture("1-cluster")
            try await page.picture("1-cluster", .phone)
        }

        private func launch(_ page: DashboardPage) async throws {
            try await page.click("#model option[value=\"\(Self.model)\"]")
            // So short that an answer comes to its end.
            try await page.type("256", into: "#context")
            try await page.click("#launch")
            try await page.reach("window.seenByTest.phases.includes('loading')")
            try await page.picture("2-launching")
            try await page.picture("2-launching", .phone)
            try await page.reach(
                "document.body.dataset.phase === 'ready'",
                within: TestCluster.launchLimit
            )
            // The order in which a launch goes; a phase may be over before the page hears of it.
            let order = [
                "none", "waitingForMaster", "startingWorkers", "checkingWorkers",
                "startingServer", "handshake", "loading", "ready",
            ]
            let phases = try await page.seen.phases
            let places = phases.compactMap { order.firstIndex(of: $0) }
            #expect(places.count == phases.count && places == places.sorted(), "\(phases)")
            #expect(phases.first == "none" && phases.last == "ready" && phases.count >= 4)
            print("phases seen: \(phases)")
        }

        private func seeLayers(_ page: DashboardPage) async throws {
            try await page.reach("document.querySelectorAll('#layers li').length === 2")
            for device in ["RPC0", "RPC1"] {
                #expect(try await page.text("#layers").contains(device))
            }
            try await page.reach("!document.querySelector('#chat-input').disabled")
            try await page.picture("3-ready")
            try await page.picture("3-ready", .dark)
            try await page.picture("3-ready", .phone)
        }

        private func chat(_ page: DashboardPage) async throws {
            try await ask(page, "Where does the caravan go?", forLength: 300)
            try await page.picture("4-answering")
            try await page.reach(
                "document.querySelector('#chat-stop').hidden",
                within: .seconds(60)
            )
            let lengths = try await page.seen.answers
            #expect(lengths.count > 5, "the answer came in few pieces: \(lengths)")
            #expect(try await page.text(".turn.assistant footer").contains("tokens/s"))
            #expect(try await page.value(of: "document.querySelector('.turn .notice') === null"))
            try await page.picture("5-answered")
            try await page.picture("5-answered", .dark)
            try await page.picture("5-answered", .phone)
        }

        /// Asks, and returns in the middle of the answer.
        private func ask(
            _ page: DashboardPage,
            _ question: String,
            forLength length: Int
        ) async throws {
            let isLongEnough = "window.seenByTest.answers.at(-1) >= \(length)"
            let isOver = "document.querySelector('#chat-stop').hidden"
            // A random model may end its answer at any word: then one asks again.
            for _ in 0..<5 {
                if try await page.value(of: "!document.querySelector('#chat-clear').hidden") {
                    try await page.click("#chat-clear")
                }
                try await page.type(question, into: "#chat-input")
                try await page.click("#chat-send")
                try await page.reach("\(isLongEnough) || \(isOver)")
                if try await page.value(of: "\(isLongEnough) && !\(isOver)") { return }
            }
            throw Problem("five answers were too short")
        }

        private func stopAnswer(_ page: DashboardPage) async throws {
            try await ask(page, "And then?", forLength: 5)
            try await page.click("#chat-stop")
            try await page.reach("!document.querySelector('#chat-send').hidden")
            #expect(try await page.text(".turn.assistant footer").contains("stopped"))
        }

        private func stop(_ page: DashboardPage) async throws {
            try await page.click("#stop")
            try await page.reach("document.body.dataset.phase === 'none'")
            #expect(try await page.value(of: "document.querySelector('#chat-input').disabled"))
            #expect(try await page.seen.phases.last == "none")
        }

        // MARK: - What goes wrong

        @Test func `a launch that cannot work says why in the dashboard`() async throws {
            try await withCluster { cluster in
                let (_, workers) = try await cluster.form(2)
                try await withBrowser { browser in
                    let page = try await DashboardPage(in: browser, at: workers[0])
                    try await page.reach("!document.querySelector('#launch').disabled")
                    try await page.type("16000000", into: "#context")
                    try await page.click("#launch")
                    try await page.reach(
                        """
                        document.body.dataset.phase === "failed" \
                        || !document.querySelector('#launch-error').hidden
                        """
                    )
                    let text = try await page.text("main")
                    #expect(text.contains("GiB"), "\(text)")
                    try await page.picture("6-does-not-fit")
                    try await page.picture("6-does-not-fit", .phone)
                    try await page.expectNoProblems()
                }
            }
        }
    }
}
