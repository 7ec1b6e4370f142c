import Gateway
import Primitives
import SWIM

extension ClusterStatus.Device {
    /// Nil for a member whose version does not tell.
    init?(_ facts: DeviceFacts) {
        let condition = facts.condition
        guard condition != DeviceCondition() || facts.policy != nil else { return nil }
        self.init(
            threads: condition.threadCount == 0 ? nil : Int(condition.threadCount),
            power: condition.power.name,
            charge: condition.power.charge.map { Int($0) },
            temperature: condition.temperature.map { Int($0) },
            throttled: condition.isThrottled,
            uptime: Int(condition.uptime.atLeast.inSeconds),
            accelerators: condition.accelerators.isEmpty ? nil : condition.accelerators,
            rpcVersion: condition.rpcVersion?.description,
            policy: facts.policy.map { "\($0)" }
        )
    }
}

extension PowerSource {
    /// The stable name of the kind of source.
    fileprivate var name: String {
        switch self {
        case .unknown: "unknown"
        case .mains: "mains"
        case .charging: "charging"
        case .battery: "battery"
        }
    }
}

extension ClusterStatus.Unreachable {
    /// What a member says of those that it cannot reach; nil if it reaches all.
    static func list(_ gaps: [ReachGap], in view: [Member]) -> [Self]? {
        let list = gaps.compactMap { gap -> Self? in
            guard let member = view.first(where: { $0.id.tag == gap.tag && $0.state.isPresent }),
                !gap.failures.isDisjoint(with: [.datagrams, .streams])
            else { return nil }
            return Self(
                id: member.id.description,
                name: member.facts.name,
                datagrams: gap.failures.contains(.datagrams),
                streams: gap.failures.contains(.streams)
            )
        }
        return list.isEmpty ? nil : list
    }
}
