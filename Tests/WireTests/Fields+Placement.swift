import LayerPlacement
import Primitives
import Wire

extension PlacementMessage {
    init?(_ kind: String, _ fields: Fields) throws {
        switch kind {
        case "workerOrder":
            self = .order(
                WorkerOrder(
                    ballot: try Ballot(fields.object("ballot")),
                    session: try SessionID(fields.object("session")),
                    serves: try fields.flag("serves")
                )
            )
        case "workerReport":
            self = .report(
                WorkerReport(
                    session: try SessionID(fields.object("session")),
                    state: try named(fields.text("state")),
                    instance: try fields.integer("instance"),
                    endpoint: try fields.endpoint("endpoint"),
                    detail: try fields.text("detail")
                )
            )
        case "wanted":
            self = .wanted(
                WantedState(
                    ballot: try fields.optionalObject("ballot").map(Ballot.init),
                    version: try fields.integer("version"),
                    model: try fields.optionalObject("model").map(WantedModel.init)
                )
            )
        case "progress": self = .progress(try LaunchReport(fields))
        case "transfers": self = .transfers(try TransferReport(fields))
        default: return nil
        }
    }
}

extension SessionID {
    init(_ fields: Fields) throws {
        self.init(
            ballot: try Ballot(fields.object("ballot")),
            number: try fields.integer("number")
        )
    }
}

extension WantedModel {
    init(_ fields: Fields) throws {
        self.init(name: try fields.text("name"), context: try fields.integer("context"))
    }
}

extension LaunchReport {
    init(_ fields: Fields) throws {
        self.init(
            ballot: try Ballot(fields.object("ballot")),
            number: try fields.integer("number"),
            model: try WantedModel(fields.object("model")),
            phase: try named(fields.text("phase")),
            progress: try fields.optionalInteger("progress"),
            message: try fields.text("message"),
            split: try fields.integers("split"),
            shares: try fields.objects("shares").map(DeviceShare.init)
        )
    }
}

extension TransferReport {
    init(_ fields: Fields) throws {
        self.init(
            ballot: try Ballot(fields.object("ballot")),
            number: try fields.integer("number"),
            transfers: try fields.objects("transfers").map(WorkerTransfer.init)
        )
    }
}

extension WorkerTransfer {
    init(_ fields: Fields) throws {
        self.init(
            node: try fields.node("node"),
            loaded: ByteCount(try fields.integer("loaded")),
            sent: ByteCount(try fields.integer("sent")),
            perSecond: ByteCount(try fields.integer("perSecond"))
        )
    }
}

extension DeviceShare {
    init(_ fields: Fields) throws {
        self.init(
            node: try fields.node("node"),
            device: try fields.optionalInteger("device"),
            first: try fields.integer("first"),
            end: try fields.integer("end"),
            modelBytes: try fields.optionalInteger("modelBytes").map(ByteCount.init(_:))
        )
    }
}
