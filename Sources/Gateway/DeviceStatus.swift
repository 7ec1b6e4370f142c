extension ClusterStatus {
    /// What a member is made of and how it is doing, as far as its system tells.
    package struct Device: Codable, Sendable, Equatable {
        /// How many threads its processors run at a time; nil if unknown.
        package var threads: Int?
        /// `mains`, `charging`, `battery` or `unknown`.
        package var power: String
        /// Charge of its battery in percent; nil without one.
        package var charge: Int?
        /// Of its hottest thermal zone, in °C.
        package var temperature: Int?
        /// Whether heat slows its processors down.
        package var throttled: Bool
        /// How long its agent has run at least, in seconds.
        package var uptime: Int
        /// What llama.cpp can use there beside the processors; nil if nothing.
        package var accelerators: String?
        /// Of llama.cpp's RPC protocol: `4.0.1`.
        package var rpcVersion: String?
        /// `available` or `quorum`.
        package var policy: String?

        package init(
            threads: Int?,
            power: String,
            charge: Int?,
            temperature: Int?,
            throttled: Bool,
            uptime: Int,
            accelerators: String?,
            rpcVersion: String?,
            policy: String?
        ) {
            self.threads = threads
            self.power = power
            self.charge = charge
            self.temperature = temperature
            self.throttled = throttled
            self.uptime = uptime
            self.accelerators = accelerators
            self.rpcVersion = rpcVersion
            self.policy = policy
        }
    }

    /// A member that another one cannot reach in every way.
    package struct Unreachable: Codable, Sendable, Equatable {
        /// The node of the one that is not reached.
        package var id: String
        package var name: String
        /// It does not answer datagrams (UDP).
        package var datagrams: Bool
        /// No stream to it (TCP) can be opened.
        package var streams: Bool

        package init(id: String, name: String, datagrams: Bool, streams: Bool) {
            self.id = id
            self.name = name
            self.datagrams = datagrams
            self.streams = streams
        }
    }
}
