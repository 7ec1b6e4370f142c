import Gateway
import LayerPlacement
import LeaderElection
import Primitives
import Runtime
import SWIM

extension CoreSnapshot {
    /// The snapshot as the HTTP API tells it.
    func status(
        own: NodeID,
        cluster: String,
        refused: [String: UInt64],
        warnings: [String]
    ) -> ClusterStatus {
        var status = ClusterStatus(
            self: own.description,
            cluster: cluster,
            master: master?.node.description,
            ballot: ballot.map {
                ClusterStatus.Ballot(term: $0.term, node: $0.node.description)
            },
            members: view.map(member),
            model: model,
            refused: refused,
            warnings: warnings
        )
        status.policy = policy.name
        status.voters = voters?.voters.map(\.description)
        if isDrained { status.drained = true }
        return status
    }

    private func member(_ member: Member) -> ClusterStatus.Member {
        let role: String
        switch master {
        case nil: role = "none"
        case let master?: role = master.node == member.id ? "master" : "worker"
        }
        return ClusterStatus.Member(
            id: member.id.description,
            name: member.facts.name,
            address: member.endpoint.description,
            state: "\(member.state)",
            incarnation: member.incarnation,
            role: role,
            memory: ClusterStatus.Memory(
                total: member.facts.memoryTotal.bytes,
                available: member.facts.memoryAvailable.bytes
            ),
            httpPort: member.facts.httpPort,
            engine: member.facts.engine,
            device: ClusterStatus.Device(member.facts),
            unreachable: ClusterStatus.Unreachable.list(member.facts.gaps, in: view)
        )
    }

    private var model: ClusterStatus.Model? {
        guard let wanted else { return nil }
        guard let report, report.model == wanted, report.ballot == master else {
            let message =
                master == nil
                ? "Waiting for a master to be elected" : "Waiting for the master's word"
            return ClusterStatus.Model(
                name: wanted.name,
                phase: LaunchPhase.waitingForMaster.name,
                message: message,
                progress: nil,
                context: Int(wanted.context),
                split: [],
                layers: []
            )
        }
        return ClusterStatus.Model(
            name: wanted.name,
            phase: report.phase.name,
            message: report.message,
            progress: report.progress.map { Double($0) / 10_000 },
            context: Int(wanted.context),
            split: report.split.map { Double($0) / 1_000_000 },
            layers: report.shares.map(layers),
            transfers: transfers(report)
        )
    }

    private func transfers(_ report: LaunchReport) -> [ClusterStatus.Transfer]? {
        guard let transfers, transfers.ballot == report.ballot else { return nil }
        return transfers.transfers.map { transfer in
            let told = report.shares.filter { $0.node == transfer.node }.map(\.modelBytes?.bytes)
            let total = told.contains(nil) ? nil : told.compactMap(\.self).reduce(0, +)
            // What was counted lately says nothing any more when all is there.
            let isMoving = report.phase < .ready && transfer.loaded.bytes < total ?? .max
            return ClusterStatus.Transfer(
                node: transfer.node.description,
                name: name(of: transfer.node),
                // Inputs of the first computation are counted with the weights.
                loaded: min(transfer.loaded.bytes, total ?? .max),
                total: total,
                sent: transfer.sent.bytes,
                perSecond: isMoving ? transfer.perSecond.bytes : 0
            )
        }
    }

    private func name(of node: NodeID) -> String {
        view.first { $0.id == node }?.facts.name ?? node.short
    }

    private func layers(_ share: DeviceShare) -> ClusterStatus.Layers {
        ClusterStatus.Layers(
            node: share.node.description,
            name: name(of: share.node),
            device: share.device.map { "RPC\($0)" } ?? "CPU",
            first: Int(share.first),
            end: Int(share.end),
            modelBytes: share.modelBytes?.bytes
        )
    }
}
