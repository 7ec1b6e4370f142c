package import Primitives

/// What a master and its workers say to each other about a model.
package enum PlacementMessage: Equatable, Sendable {
    /// Master to worker, again and again: what the worker shall do.
    case order(WorkerOrder)
    /// Worker to master: how it stands, answering each order and after each change.
    case report(WorkerReport)
    /// Anyone to anyone: which model the cluster shall run; the highest holds.
    case wanted(WantedState)
    /// Master to all: how far the model is.
    case progress(LaunchReport)
    /// Master to all: how far the weights are on their way to each worker.
    case transfers(TransferReport)
}

/// One attempt of a master to run a model; processes are tagged with it.
package struct SessionID: Hashable, Comparable, Sendable {
    /// The ballot under which the attempt began; a renewed ballot keeps its sessions.
    package var ballot: Ballot
    package var number: UInt32

    package init(ballot: Ballot, number: UInt32) {
        self.ballot = ballot
        self.number = number
    }

    package static func < (left: Self, right: Self) -> Bool {
        (left.ballot, left.number) < (right.ballot, right.number)
    }
}

package struct WorkerOrder: Equatable, Sendable {
    /// The ballot under which the master speaks now.
    package var ballot: Ballot
    package var session: SessionID
    /// Whether an RPC server shall run for the session.
    package var serves: Bool

    package init(ballot: Ballot, session: SessionID, serves: Bool) {
        self.ballot = ballot
        self.session = session
        self.serves = serves
    }
}

package struct WorkerReport: Equatable, Sendable {
    /// How many bytes of UTF-8 a detail may have.
    package static let detailByteLimit = 200

    package var session: SessionID
    package var state: State
    /// Differs for every start of the RPC server: a restarted one has lost its tensors.
    package var instance: UInt64
    /// Where the RPC server is reached.
    package var endpoint: Endpoint
    /// Why it failed.
    package private(set) var detail: String

    package enum State: UInt8, Sendable, CaseIterable {
        case stopped = 0
        case starting = 1
        case ready = 2
        /// It was given up; `detail` says why.
        case failed = 3
    }

    package init(
        session: SessionID,
        state: State,
        instance: UInt64,
        endpoint: Endpoint,
        detail: String = ""
    ) {
        self.session = session
        self.state = state
        self.instance = instance
        self.endpoint = endpoint
        self.detail = detail.cut(toByteCount: Self.detailByteLimit)
    }
}

/// A model that somebody asked for.
package struct WantedModel: Hashable, Sendable {
    /// How many bytes of UTF-8 a name may have.
    package static let nameByteLimit = 255
    package static let defaultContext: UInt32 = 1024

    /// A file's name in the models folder, or a path.
    package var name: String
    /// In tokens.
    package var context: UInt32

    package init(name: String, context: UInt32 = Self.defaultContext) {
        self.name = name
        self.context = context
    }

    /// The last part of a path.
    package var fileName: String {
        name.split(separator: "/").last.map(String.init) ?? name
    }

    package var fingerprint: UInt64 {
        DeviceFacts.fingerprint(ofModel: fileName)
    }
}

/// What the cluster shall run; ordered by (ballot, version), the highest holds everywhere, and it
/// survives the loss of all devices but one.
package struct WantedState: Equatable, Sendable {
    /// The ballot of the master that took it; nil before anybody wanted anything.
    package var ballot: Ballot?
    package var version: UInt32
    package var model: WantedModel?

    package init(ballot: Ballot? = nil, version: UInt32 = 0, model: WantedModel? = nil) {
        self.ballot = ballot
        self.version = version
        self.model = model
    }

    package func isNewer(than other: WantedState) -> Bool {
        switch (ballot, other.ballot) {
        case (nil, _): false
        case (_?, nil): true
        case (let own?, let others?): (own, version) > (others, other.version)
        }
    }
}

/// How far a launch is; the names are those of the reference's phases.
package enum LaunchPhase: UInt8, Sendable, CaseIterable, Comparable {
    case waitingForMaster = 0
    case startingWorkers = 1
    case checkingWorkers = 2
    case startingServer = 3
    case handshake = 4
    case loading = 5
    case ready = 6
    case failed = 7

    package static func < (left: Self, right: Self) -> Bool {
        left.rawValue < right.rawValue
    }

    package var name: String { "\(self)" }
}

/// What all members know of a launch.
package struct LaunchReport: Equatable, Sendable {
    package static let messageByteLimit = 240
    package static let shareLimit = 17

    package var ballot: Ballot
    /// Counts up within the ballot; the highest holds.
    package var number: UInt32
    package var model: WantedModel
    package var phase: LaunchPhase
    /// Of the weights, in ten-thousandths; nil if llama.cpp does not tell.
    package var progress: UInt16?
    /// What goes on, or why it failed and what to do, in a sentence.
    package private(set) var message: String
    /// `--tensor-split` in millionths, one value a device.
    package private(set) var split: [UInt32]
    package private(set) var shares: [DeviceShare]

    package init(
        ballot: Ballot,
        number: UInt32,
        model: WantedModel,
        phase: LaunchPhase,
        progress: UInt16? = nil,
        message: String,
        split: [UInt32] = [],
        shares: [DeviceShare] = []
    ) {
        self.ballot = ballot
        self.number = number
        self.model = model
        self.phase = phase
        self.progress = progress
        self.message = message.cut(toByteCount: Self.messageByteLimit)
        self.split = Array(split.prefix(Self.shareLimit))
        self.shares = Array(shares.prefix(Self.shareLimit))
    }
}

/// The layers `first..<end` of a model on one device of a member; the output layer counts as the
/// last.
package struct DeviceShare: Equatable, Sendable {
    package var node: NodeID
    /// llama.cpp's number of the RPC device; nil for the master's own CPU.
    package var device: UInt8?
    package var first: UInt16
    package var end: UInt16
    /// What llama-server said it placed there; nil before it did.
    package var modelBytes: ByteCount?

    package init(
        node: NodeID,
        device: UInt8?,
        first: UInt16,
        end: UInt16,
        modelBytes: ByteCount? = nil
    ) {
        self.node = node
        self.device = device
        self.first = first
        self.end = end
        self.modelBytes = modelBytes
    }
}
