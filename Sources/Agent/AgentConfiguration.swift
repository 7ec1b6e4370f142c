package import Primitives
import Sockets

/// Everything that an agent is started with.
package struct AgentConfiguration: Sendable {
    package static let agentPort: UInt16 = 52414
    /// Where beacons go; shared by all agents of a machine.
    package static let beaconPort: UInt16 = 52413
    package static let httpPort: UInt16 = 52415
    package static let rpcPort: UInt16 = 60000
    package static let llamaPort: UInt16 = 8080

    package var name: String
    /// Agents of other clusters on the same network are not seen.
    package var cluster = "caravan"
    /// Where the agent listens; unspecified for all addresses: `::` of both families, `0.0.0.0`
    /// of IPv4 only.
    package var bind = Interfaces.everywhere
    package var agentPort = AgentConfiguration.agentPort
    package var httpPort = AgentConfiguration.httpPort
    package var rpcPort = AgentConfiguration.rpcPort
    package var llamaPort = AgentConfiguration.llamaPort
    package var stateFolder: String
    package var modelsFolder: String
    package var seeds: [Endpoint] = []
    /// Where llama.cpp's binaries are; nil to look in the usual places.
    package var engineFolder: String?
    /// Where `caravan engine install` puts llama.cpp.
    package var engineInstallFolder: String
    /// What the device offers to models; nil for what is measured.
    package var memory: ByteCount?
    /// How much of the disk is used to keep weights for the next launch; nil for what fits.
    package var cacheLimit: ByteCount?
    /// Whether to look for other agents by multicast and broadcast.
    package var discovers = true
    /// Whether strangers on the network may take part: no keys are used.
    package var isOpen = false
    /// How many masters there may be when the network splits; the same on all agents.
    package var policy = ElectionPolicy.available
    /// How others reach this device's RPC server; nil for what fits: `relay` with a key, `direct`
    /// without.
    package var exposure: Exposure?
    /// Whether other devices may use the HTTP API without a token.
    package var httpIsOpen = false
    package var logLevel = LogLevel.info

    /// - Returns: false, and changes nothing, if there is no such policy.
    package mutating func choosePolicy(named name: String) -> Bool {
        guard let policy = ElectionPolicy(named: name) else { return false }
        self.policy = policy
        return true
    }

    /// Where the agent listens, as people write it.
    ///
    /// - Returns: false, and changes nothing, if that is no address.
    package mutating func listen(on text: String) -> Bool {
        let own = (try? Interfaces.addresses()) ?? []
        guard let address = OwnAddress.listening(on: text, among: own) else { return false }
        bind = address
        return true
    }

    /// An address with its port, as people write it, of another device or of this one.
    package static func endpoint(_ text: String, defaultPort: UInt16) -> Endpoint? {
        Endpoint(Interfaces.numberingZone(of: text), defaultPort: defaultPort)
    }

    /// Where weights are kept.
    package var tensorFolder: String { Self.tensorFolder(in: stateFolder) }

    package static func tensorFolder(in stateFolder: String) -> String {
        stateFolder + "/tensors"
    }

    /// Where the log's files are.
    package var logFolder: String { Self.logFolder(in: stateFolder) }

    package static func logFolder(in stateFolder: String) -> String {
        stateFolder + "/logs"
    }

    package init(
        name: String,
        stateFolder: String,
        modelsFolder: String,
        engineInstallFolder: String
    ) {
        self.name = name
        self.stateFolder = stateFolder
        self.modelsFolder = modelsFolder
        self.engineInstallFolder = engineInstallFolder
    }
}

/// How a worker's `ggml-rpc-server`, which knows no keys, is reached.
package enum Exposure: String, Sendable, CaseIterable {
    /// It listens on loopback only, and the master comes through the agent.
    case relay
    /// It listens where the agent does, for everybody.
    case direct
}

/// Why an agent does not start, and what to do about it.
package struct AgentProblem: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) {
        self.description = description
    }
}
