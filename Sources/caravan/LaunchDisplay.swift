import Gateway

/// How far a launch is, as lines.
///
/// On a terminal the line that tells of progress is written again and again in its place; for
/// whoever reads a pipe there is a line when something new begins, and one every quarter of the
/// way.
struct LaunchDisplay {
    private let columnCount: Int?
    /// What was begun, without how far it is.
    private var begun = ""
    private var quarter = 0
    private var isLineOpen = false

    /// - Parameter columnCount: of the terminal; nil if it is none.
    init(columnCount: Int?) {
        self.columnCount = columnCount
    }

    /// What is to be written for this state.
    mutating func show(_ model: ClusterStatus.Model) -> String {
        let step = "\(model.phase): \(model.message)"
        let isNew = step != begun
        begun = step
        guard model.phase == "loading" else {
            guard isNew else { return "" }
            return end() + step + "\n"
        }
        let line = Self.loadingLine(model, step)
        if let columnCount {
            let start = isNew ? end() : "\r\u{1B}[K"
            isLineOpen = true
            // A line that is wrapped could not be written over.
            return start + String(line.prefix(max(10, columnCount - 1)))
        }
        let reached = Int((model.progress ?? 0) * 4)
        guard isNew || reached > quarter else { return "" }
        quarter = reached
        return line + "\n"
    }

    /// What ends a line that is still being written over.
    mutating func end() -> String {
        defer { isLineOpen = false }
        return isLineOpen ? "\n" : ""
    }

    private static func loadingLine(_ model: ClusterStatus.Model, _ step: String) -> String {
        let progress = model.progress.map { " \(Int($0 * 100)) %" } ?? ""
        let transfers = TransferText.line(model)
        return step + progress + (transfers.isEmpty ? "" : " | \(transfers)")
    }
}
