/// What an agent knows of its cluster, as `GET /api/v1/cluster` and `caravan status --json` give
/// it.
///
/// Keys are append-only.
package struct ClusterStatus: Codable, Sendable, Equatable {
    /// The answering agent's node, 32 hexadecimal digits.
    package var `self`: String
    /// The cluster's name.
    package var cluster: String
    /// The node of the master that this agent obeys; nil while there is none.
    package var master: String?
    /// The ballot of that master, or the highest one obeyed.
    package var ballot: Ballot?
    /// Every member known, this agent included, sorted by id.
    package var members: [Member]
    /// The model that the cluster is asked to run; nil if none is.
    package var model: Model?
    /// What this agent refused since it started, by reason (`datagram.badMagic`), for counters
    /// above zero.
    package var refused: [String: UInt64]
    /// What a person should know, in plain words.
    package var warnings: [String]
    /// `available` or `quorum`.
    package var policy: String?
    /// The nodes that elect masters, under `quorum`; nil for a device of no cluster yet.
    package var voters: [String]?
    /// The answering agent takes no work.
    package var drained: Bool?

    package struct Ballot: Codable, Sendable, Equatable {
        package var term: UInt64
        package var node: String

        package init(term: UInt64, node: String) {
            self.term = term
            self.node = node
        }
    }

    package struct Member: Codable, Sendable, Equatable {
        package var id: String
        package var name: String
        /// Where its agent is reached: `127.0.0.2:52414`.
        package var address: String
        /// `alive`, `suspect`, `dead` or `left`.
        package var state: String
        package var incarnation: UInt64
        /// `master`, `worker` or, while nobody is master, `none`.
        package var role: String
        package var memory: Memory
        /// The port of its HTTP gateway; 0 if unknown.
        package var httpPort: UInt16
        /// llama.cpp's version on the member, empty if it has none.
        package var engine: String
        /// What the member is made of and how it is doing; nil if it does not tell.
        package var device: Device?
        /// Other members that it cannot reach in every way; nil if it reaches all.
        package var unreachable: [Unreachable]?

        package init(
            id: String,
            name: String,
            address: String,
            state: String,
            incarnation: UInt64,
            role: String,
            memory: Memory,
            httpPort: UInt16,
            engine: String,
            device: Device? = nil,
            unreachable: [Unreachable]? = nil
        ) {
            self.id = id
            self.name = name
            self.address = address
            self.state = state
            self.incarnation = incarnation
            self.role = role
            self.memory = memory
            self.httpPort = httpPort
            self.engine = engine
            self.device = device
            self.unreachable = unreachable
        }
    }

    /// In bytes.
    package struct Memory: Codable, Sendable, Equatable {
        package var total: UInt64
        package var available: UInt64

        package init(total: UInt64, available: UInt64) {
            self.total = total
            self.available = available
        }
    }

    package struct Model: Codable, Sendable, Equatable {
        package var name: String
        /// `waitingForMaster`, `startingWorkers`, `checkingWorkers`, `startingServer`,
        /// `handshake`, `loading`, `ready`, `failed`.
        package var phase: String
        /// What is going on, or why it failed and what to do next, in one sentence.
        package var message: String
        /// 0…1 while weights are being loaded, if llama.cpp tells.
        package var progress: Double?
        /// The size of the context in tokens.
        package var context: Int
        /// `--tensor-split` as given to llama-server, one value per RPC device.
        package var split: [Double]
        /// Who holds which layers.
        package var layers: [Layers]
        /// How far the weights of each worker are, sorted by node; nil while no relay counts them.
        package var transfers: [Transfer]?

        package init(
            name: String,
            phase: String,
            message: String,
            progress: Double?,
            context: Int,
            split: [Double],
            layers: [Layers],
            transfers: [Transfer]? = nil
        ) {
            self.name = name
            self.phase = phase
            self.message = message
            self.progress = progress
            self.context = context
            self.split = split
            self.layers = layers
            self.transfers = transfers
        }
    }

    /// The weights on their way to one worker, in bytes.
    package struct Transfer: Codable, Sendable, Equatable {
        package var node: String
        package var name: String
        /// What llama-server has handed over, not more than all.
        package var loaded: UInt64
        /// All that the worker is to hold; nil before llama-server said so.
        package var total: UInt64?
        /// What went over the network: a worker is not sent what it keeps.
        package var sent: UInt64
        /// How much was handed over in a second, lately; 0 when nothing moves any more.
        package var perSecond: UInt64

        package init(
            node: String,
            name: String,
            loaded: UInt64,
            total: UInt64?,
            sent: UInt64,
            perSecond: UInt64
        ) {
            self.node = node
            self.name = name
            self.loaded = loaded
            self.total = total
            self.sent = sent
            self.perSecond = perSecond
        }
    }

    /// The layers `first..<end` on one device of one member.
    ///
    /// The output layer counts as the last.
    package struct Layers: Codable, Sendable, Equatable {
        package var node: String
        package var name: String
        /// llama.cpp's name for the device: `RPC0`, or `CPU` on the master.
        package var device: String
        package var first: Int
        package var end: Int
        /// What llama-server reported for the device; nil before it did.
        package var modelBytes: UInt64?

        package init(
            node: String,
            name: String,
            device: String,
            first: Int,
            end: Int,
            modelBytes: UInt64?
        ) {
            self.node = node
            self.name = name
            self.device = device
            self.first = first
            self.end = end
            self.modelBytes = modelBytes
        }
    }

    package init(
        self node: String,
        cluster: String,
        master: String?,
        ballot: Ballot?,
        members: [Member],
        model: Model?,
        refused: [String: UInt64],
        warnings: [String]
    ) {
        self.`self` = node
        self.cluster = cluster
        self.master = master
        self.ballot = ballot
        self.members = members
        self.model = model
        self.refused = refused
        self.warnings = warnings
    }
}

/// A GGUF file in an agent's models folder.
package struct ModelFile: Codable, Sendable, Equatable {
    /// The file's name, which `launch` takes.
    package var name: String
    package var byteCount: UInt64

    package init(name: String, byteCount: UInt64) {
        self.name = name
        self.byteCount = byteCount
    }
}
