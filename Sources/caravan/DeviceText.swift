import Gateway

/// How the devices of a cluster are doing, as text.
enum DeviceText {
    /// A table, or nothing if no member tells.
    static func table(_ members: [ClusterStatus.Member]) -> [String] {
        var rows = [["DEVICE", "THREADS", "POWER", "HEAT", "UP", "RPC", "ACCELERATORS"]]
        for member in members where member.state == "alive" || member.state == "suspect" {
            guard let device = member.device else { continue }
            rows.append([
                member.name,
                device.threads.map { "\($0)" } ?? "?",
                power(device),
                heat(device),
                uptime(device.uptime),
                device.rpcVersion ?? "none",
                device.accelerators ?? "none",
            ])
        }
        return rows.count > 1 ? [""] + StatusText.columns(rows) : []
    }

    private static func power(_ device: ClusterStatus.Device) -> String {
        let kind = device.power == "unknown" ? "?" : device.power
        return device.charge.map { "\(kind) \($0) %" } ?? kind
    }

    private static func heat(_ device: ClusterStatus.Device) -> String {
        let degrees = device.temperature.map { "\($0) °C" } ?? "?"
        return device.throttled ? "\(degrees), throttled" : degrees
    }

    /// Told in steps that double.
    static func uptime(_ seconds: Int) -> String {
        switch seconds {
        case ..<60: "< 1 min"
        case ..<3600: "> \(seconds / 60) min"
        case ..<172_800: "> \(seconds / 3600) h"
        default: "> \(seconds / 86_400) days"
        }
    }
}
