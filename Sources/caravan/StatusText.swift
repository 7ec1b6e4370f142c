import FoundationEssentials
import Gateway
import Primitives

/// A cluster's status as text.
enum StatusText {
    static func json(_ status: ClusterStatus, isCompact: Bool) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting =
            isCompact ? [.sortedKeys] : [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        let data = (try? encoder.encode(status)) ?? Data()
        return String(decoding: data, as: UTF8.self)
    }

    static func table(_ status: ClusterStatus) -> String {
        var lines: [String] = []
        let names = status.members.reduce(into: [:]) { $0[$1.id] = $1.name }
        if let master = status.master {
            let term = status.ballot.map { ", term \($0.term)" } ?? ""
            lines.append("Master  \(names[master] ?? master)\(term)")
        } else {
            let isOutside = status.policy == "quorum" && status.voters == nil
            lines.append(
                isOutside
                    ? "Master  none: this device belongs to no cluster yet"
                    : "Master  none yet: an election takes a few seconds"
            )
        }
        if let voters = status.voters {
            lines.append("Voters  " + voters.map { names[$0] ?? $0 }.joined(separator: ", "))
        } else if status.policy == "quorum" {
            lines.append(
                "Voters  none: run `caravan found` on one device, once, or wait for a master"
            )
        }
        lines += model(status.model)
        lines.append("")
        var rows = [["NAME", "ADDRESS", "STATE", "ROLE", "MEMORY FREE/TOTAL", "LLAMA.CPP"]]
        for member in status.members {
            let own = member.id == status.`self` ? " (asked)" : ""
            rows.append([
                member.name + own, member.address, member.state, member.role,
                "\(ByteCount(member.memory.available)) / \(ByteCount(member.memory.total))",
                member.engine.isEmpty ? "none" : member.engine,
            ])
        }
        lines += columns(rows)
        lines += DeviceText.table(status.members)
        if status.drained == true {
            lines.append("! This device takes no work: undo it with `caravan leave --undo`")
        }
        for warning in status.warnings { lines.append("! \(warning)") }
        return lines.joined(separator: "\n")
    }

    private static func model(_ model: ClusterStatus.Model?) -> [String] {
        guard let model else { return ["Model   none: caravan launch MODEL"] }
        let progress = model.progress.map { " \(Int($0 * 100)) %" } ?? ""
        var lines = [
            "Model   \(model.name), \(model.phase)\(progress): \(model.message)"
        ]
        lines += layers(model)
        return lines
    }

    /// Who holds which layers.
    static func layers(_ model: ClusterStatus.Model) -> [String] {
        let transfers = Dictionary((model.transfers ?? []).map { ($0.node, $0) }) { $1 }
        var told: Set<String> = []
        let rows = model.layers.map { layers in
            // Of a worker with several devices the way is told once.
            let transfer = told.insert(layers.node).inserted ? transfers[layers.node] : nil
            let remark = transfer.map {
                TransferText.remark($0, isLoading: model.phase == "loading")
            }
            return [
                "        \(layers.name)", layers.device, "layers \(layers.first)..<\(layers.end)",
                layers.modelBytes.map { "\(ByteCount($0))" } ?? "", remark ?? "",
            ]
        }
        return columns(rows).map { line in
            String(line.reversed().drop { $0 == " " }.reversed())
        }
    }

    /// Pads the cells of each column to the same width.
    static func columns(_ rows: [[String]]) -> [String] {
        let count = rows.map(\.count).max() ?? 0
        let widths = (0..<count).map { column in
            rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
        }
        return rows.map { row in
            let padded = row.enumerated().map { column, cell in
                column == row.count - 1
                    ? cell : cell + String(repeating: " ", count: widths[column] - cell.count)
            }
            return padded.joined(separator: "  ")
        }
    }
}
