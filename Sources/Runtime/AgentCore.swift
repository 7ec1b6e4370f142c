package import EventLoop
package import LayerPlacement
package import LeaderElection
package import Primitives
package import SWIM
package import Wire

/// The actors of one agent, wired to each other and to a world.
package final class AgentCore: Sendable {
    package let membership: Membership
    package let election: Election
    package let placement: Placement
    package let supervisor: Supervisor
    private let keeper: StateKeeper
    private let probes: StreamProbes
    private let departure: Departure
    private let world: World
    private let configuration: CoreConfiguration

    /// - Parameter record: what an earlier life of this identity left behind.
    package init(world: World, configuration: CoreConfiguration, record: DurableRecord) {
        self.world = world
        self.configuration = configuration
        let own = configuration.node
        let seeds = SeededGenerator(seed: world.seed)
        keeper = StateKeeper(world: world, record: record)
        probes = StreamProbes(world: world)
        var facts = configuration.facts
        facts.vocabulary = .current
        if record.isDrained { facts.memoryAvailable = .zero }
        let swim = SWIMMachine(
            id: own,
            endpoint: configuration.endpoint,
            incarnation: Mutant.forgetsIncarnation.isPlanted ? 1 : record.incarnation + 1,
            facts: facts,
            configuration: configuration.swim,
            seed: seeds.derived(1).seedForMachine
        )
        let electionMachine = ElectionMachine(
            own: own,
            record: record.election,
            configuration: configuration.election,
            seed: seeds.derived(2).seedForMachine
        )
        let launch = LaunchMachine(own: own, wanted: record.wanted)
        let worker = WorkerMachine(endpoint: configuration.servers.rpcExternal)
        world.witness?.begins(
            swim: swim,
            election: electionMachine,
            launch: launch,
            worker: worker
        )
        membership = Membership(
            world: world,
            keeper: keeper,
            machine: swim,
            cluster: WireHeader.tag(ofCluster: configuration.cluster),
            measured: configuration.facts,
            isDrained: record.isDrained
        )
        election = Election(
            world: world,
            keeper: keeper,
            membership: membership,
            machine: electionMachine
        )
        supervisor = Supervisor(world: world, probes: probes, ports: configuration.servers)
        placement = Placement(
            world: world,
            keeper: keeper,
            membership: membership,
            election: election,
            supervisor: supervisor,
            probes: probes,
            launch: launch,
            worker: worker
        )
        departure = Departure(
            world: world,
            membership: membership,
            election: election,
            placement: placement
        )
    }

    /// This agent's identity.
    package var node: NodeID { configuration.node }

    /// Begins: probes, gossips, looks for the seeds and for the peers of an earlier life.
    ///
    /// Called once, on the loop, as is everything else here.
    package func start(seeds: [Endpoint], remembered: [Endpoint]) {
        let wanted = placement.assumeIsolated { $0.launch.wanted.model?.fingerprint }
        membership.assumeIsolated {
            $0.introduce(
                Membership.Peers(election: election, placement: placement, services: self)
            )
        }
        election.assumeIsolated { $0.introduce(placement) }
        supervisor.assumeIsolated { $0.introduce(placement) }
        if membership.assumeIsolated({ $0.isDrained }) {
            world.observer.log(
                LogRecord(
                    "agent.drained",
                    .notice,
                    "This device was drained and takes no work: caravan leave --undo gives it "
                        + "work again"
                )
            )
        }
        // A device that stays alone hears of no change, and must know that it is there itself.
        membership.assumeIsolated { $0.viewChanged() }
        election.assumeIsolated { $0.wants(wanted) }
        election.assumeIsolated { $0.handle(.start) }
        membership.assumeIsolated { $0.handle(.start(seeds: seeds)) }
        membership.assumeIsolated { $0.followGaps() }
        for peer in remembered {
            membership.assumeIsolated { $0.handle(.sighted(peer)) }
        }
    }

    /// Another agent of this cluster may be at the endpoint.
    package func sighted(_ endpoint: Endpoint) {
        membership.assumeIsolated { $0.handle(.sighted(endpoint)) }
    }

    package func accept(
        _ connection: any StreamConnection
    ) -> @Sendable (StreamEvent) -> Void {
        membership.accept(connection)
    }

    package func factsChanged(_ facts: DeviceFacts) {
        membership.assumeIsolated { $0.measured(facts) }
    }

    /// Founds a cluster with this device as its first voter; false if it belongs to one.
    package func found() -> Bool {
        election.assumeIsolated { $0.found() }
    }

    /// Hands mastership over to a member, which only the master can.
    ///
    /// The completion always follows.
    package func transfer(
        to target: NodeID,
        completion: @escaping @Sendable (TransferOutcome) -> Void
    ) {
        election.assumeIsolated { $0.transfer(to: target, completion: completion) }
    }

    /// Takes this device's work away, its mastership, and, for good, its vote.
    ///
    /// Whoever asks for good calls `leave` next.
    ///
    /// - Returns: false if that is under way already; the completion does not follow then.
    package func depart(
        isForGood: Bool,
        completion: @escaping @Sendable (DepartureReport) -> Void
    ) -> Bool {
        departure.assumeIsolated { $0.begin(isForGood: isForGood, completion: completion) }
    }

    /// The device takes work again.
    package func undrain() {
        membership.assumeIsolated { $0.drain(false) }
    }

    /// This device is reached at another address now: others are told.
    package func moved(to endpoint: Endpoint) {
        // llama.cpp's RPC knows IPv4 only; over IPv6 the way leads through the agents.
        let rpcPort = endpoint.address.isV4 ? configuration.servers.rpcExternal.port : 0
        placement.assumeIsolated {
            $0.handle(.moved(Endpoint(address: endpoint.address, port: rpcPort)))
        }
        membership.assumeIsolated { $0.handle(.moved(to: endpoint)) }
    }

    /// Stops what runs here, gives mastership up, says goodbye; `CoreObserver.goodbyeSpread`
    /// and the completion follow.
    package func leave(stopped: @escaping @Sendable () -> Void) {
        election.assumeIsolated { $0.handle(.resign) }
        membership.assumeIsolated { $0.handle(.leave) }
        supervisor.assumeIsolated { $0.stopAll(completion: stopped) }
    }

    /// Lets the actors go of each other, which hold each other in a ring; nothing works after it.
    package func dismantle() {
        membership.assumeIsolated { $0.dismantle() }
        election.assumeIsolated { $0.dismantle() }
        keeper.assumeIsolated { $0.dismantle() }
        probes.assumeIsolated { $0.dismantle() }
        supervisor.assumeIsolated { $0.introduce(nil) }
    }

    /// Makes the cluster want a model, or none; false if this member is not master.
    package func want(_ model: WantedModel?) -> Bool {
        guard placement.assumeIsolated({ $0.obeyed?.node }) == configuration.node else {
            return false
        }
        placement.assumeIsolated { $0.handle(.want(model)) }
        return true
    }

    /// Where the agent of a member that is here is reached.
    package func endpoint(of node: NodeID) -> Endpoint? {
        membership.assumeIsolated { membership in
            membership.isPresent(node) ? membership.machine.member(node)?.endpoint : nil
        }
    }

    /// Whether streams to a member are better opened by the member, see `dialBack`.
    package func isBetterDialledBack(_ member: NodeID) -> Bool {
        membership.assumeIsolated { $0.isBetterDialledBack(member) }
    }

    /// A stream to a member could not be opened.
    package func failedToDial(_ member: NodeID, _ closure: StreamClosure) {
        membership.assumeIsolated { $0.failedToDial(member, closure) }
    }

    /// Asks a member to open a stream, on which this agent then speaks as if it had dialled.
    package func dialBack(
        _ member: NodeID,
        onStream: @escaping @Sendable (any StreamConnection) -> @Sendable (StreamEvent) -> Void,
        onFailure: @escaping @Sendable () -> Void
    ) {
        membership.assumeIsolated {
            $0.dialBack(member, onStream: onStream, onFailure: onFailure)
        }
    }

    /// The version of llama.cpp that a member has, as it says.
    package func engine(of node: NodeID) -> String? {
        membership.assumeIsolated { $0.machine.member(node) }?.facts.engine
    }

    /// The members that are here, but for this one.
    package func otherMembers() -> [(node: NodeID, endpoint: Endpoint)] {
        membership.assumeIsolated { membership in
            membership.machine.others.filter(\.state.isPresent).map { ($0.id, $0.endpoint) }
        }
    }

    /// What was seen of the ways between this agent and a member.
    package func reach(of member: NodeID) -> Reach? {
        membership.assumeIsolated { $0.reach(of: member) }
    }

    /// When the last datagram came from the member itself; nil if none has.
    package func lastHeard(_ member: NodeID) -> Instant? {
        membership.assumeIsolated { $0.machine.contact(with: member)?.lastHeard }
    }

    /// Every member known, sorted by id.
    package var view: [Member] {
        membership.assumeIsolated { $0.machine.others.with($0.machine.own) }
    }

    /// This agent, as it presents itself.
    package var own: Member { membership.currentOwn() }

    /// The others, which are looked at without a copy of all that is known of them.
    package var others: MemberTable { membership.currentOthers() }

    /// The master obeyed now.
    package var master: Ballot? { placement.currentlyObeyed() }

    /// Who elects masters, under the policy `quorum`.
    package var voters: VoterConfiguration? { election.currentVoters() }

    package func snapshot() -> CoreSnapshot {
        CoreSnapshot(
            view: view,
            ballot: election.assumeIsolated { $0.machine.record.obeyed },
            master: placement.assumeIsolated { $0.obeyed },
            wanted: placement.assumeIsolated { $0.launch.wanted.model },
            report: placement.assumeIsolated { $0.launch.report },
            transfers: placement.assumeIsolated { $0.launch.transfers },
            llamaEndpoint: supervisor.assumeIsolated { $0.llamaEndpoint },
            policy: configuration.election.policy,
            voters: election.assumeIsolated { $0.machine.record.configuration },
            isDrained: membership.assumeIsolated { $0.isDrained }
        )
    }
}

extension AgentCore: ServiceDoor {
    package func endpoint(
        of service: Service,
        for member: NodeID,
        ballot: Ballot?
    ) -> Result<Endpoint, ServiceRefusal> {
        let obeyed = placement.assumeIsolated { $0.obeyed }
        // Fencing: nobody acts through this member in the name of a master that it left behind.
        if let ballot, let obeyed, ballot < obeyed {
            return .failure(ServiceRefusal("ballot \(ballot) is superseded by \(obeyed)"))
        }
        switch service {
        case .gateway: return .success(configuration.gateway)
        case .llamaServer:
            guard let endpoint = supervisor.assumeIsolated({ $0.llamaEndpoint }) else {
                return .failure(ServiceRefusal("no model is ready here"))
            }
            return .success(endpoint)
        case .rpcServer: return rpcServer(for: member, ballot, obeyed)
        }
    }

    /// The RPC server computes for the master that this member obeys, and for nobody else.
    private func rpcServer(
        for member: NodeID,
        _ ballot: Ballot?,
        _ obeyed: Ballot?
    ) -> Result<Endpoint, ServiceRefusal> {
        guard let ballot, ballot.node == member else {
            return .failure(ServiceRefusal("only a master may use the RPC server"))
        }
        guard let obeyed, obeyed.node == member else {
            return .failure(ServiceRefusal("\(ballot) is not obeyed here"))
        }
        guard case .ready? = placement.assumeIsolated({ $0.worker.service?.state }) else {
            return .failure(ServiceRefusal("the RPC server does not run"))
        }
        return .success(configuration.servers.rpcInternal)
    }
}

/// Who an agent is and how it is tuned.
package struct CoreConfiguration: Sendable {
    package var node: NodeID
    package var cluster: String
    /// Where other agents reach this one.
    package var endpoint: Endpoint
    /// Where its own HTTP gateway is reached on this machine.
    package var gateway: Endpoint
    package var servers: Supervisor.ServerEndpoints
    package var facts: DeviceFacts
    package var swim = SWIMConfiguration()
    package var election = ElectionConfiguration()

    package init(
        node: NodeID,
        cluster: String,
        endpoint: Endpoint,
        gateway: Endpoint,
        servers: Supervisor.ServerEndpoints,
        facts: DeviceFacts
    ) {
        self.node = node
        self.cluster = cluster
        self.endpoint = endpoint
        self.gateway = gateway
        self.servers = servers
        self.facts = facts
    }
}

/// What an agent knows at a moment.
package struct CoreSnapshot: Sendable, Equatable {
    /// Every member known, sorted by id.
    package var view: [Member]
    /// The highest ballot obeyed.
    package var ballot: Ballot?
    /// The master obeyed now.
    package var master: Ballot?
    package var wanted: WantedModel?
    package var report: LaunchReport?
    package var transfers: TransferReport?
    /// Where llama-server answers, if it runs here and is ready.
    package var llamaEndpoint: Endpoint?
    package var policy = ElectionPolicy.available
    /// Who elects masters, under the policy `quorum`; nil for a device of no cluster yet.
    package var voters: VoterConfiguration?
    package var isDrained = false
}

extension SeededGenerator {
    /// A seed for a machine that keeps a generator of its own.
    fileprivate var seedForMachine: UInt64 {
        var generator = self
        return generator.next()
    }
}
