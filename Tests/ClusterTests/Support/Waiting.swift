/// Asks until something is so.
///
/// - Throws: `Problem` with what was waited for, when it is not so in time; the last error that
///   the condition threw is told with it.
func wait(
    _ what: @autoclosure () -> String,
    within limit: Duration = .seconds(30),
    every interval: Duration = .milliseconds(100),
    _ condition: () async throws -> Bool
) async throws {
    let clock = ContinuousClock()
    let deadline = clock.now + limit
    var trouble = ""
    repeat {
        do {
            if try await condition() { return }
            trouble = ""
        } catch {
            try Task.checkCancellation()
            trouble = "; last: \(error)"
        }
        try await Task.sleep(for: interval)
    } while clock.now < deadline
    throw Problem("not within \(limit): \(what())\(trouble)")
}

/// Measures how long something takes, and prints it.
@discardableResult
func measured<Result>(
    _ what: String,
    _ work: () async throws -> Result
) async rethrows -> Result {
    let began = ContinuousClock.now
    let result = try await work()
    report(what, ContinuousClock.now - began)
    return result
}

func report(_ what: String, _ duration: Duration) {
    let seconds =
        Double(duration.components.seconds)
        + Double(duration.components.attoseconds) / 1e18
    print("measured: \(what): \((seconds * 100).rounded() / 100) s")
}
