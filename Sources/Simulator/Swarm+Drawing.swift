import Primitives

extension Scenario {
    /// The scenario with its swarm replaced by the faults that the seed draws.
    ///
    /// Each kind has a generator of its own, so that turning one off leaves the others alone. All
    /// faults are over when liveness begins.
    package func drawingSwarm(seed: UInt64) -> Scenario {
        guard let swarm else { return self }
        var drawn = self
        drawn.swarm = nil
        let generator = SeededGenerator(seed: seed).derived(0x53_57_41_52_4D)
        for (index, entry) in swarm.rates.enumerated() {
            var draws = generator.derived(UInt64(index) + 1)
            let bounds = entry.range
            let rate =
                bounds.lowerBound + (bounds.upperBound - bounds.lowerBound) * draws.fraction()
            guard rate > 0 else { continue }
            var moment = startWithin + Self.gap(rate, &draws)
            while moment < liveness.at {
                let lasts = draws.duration(in: swarm.lasts)
                let fault = Fault(entry.kind, nodeCount: nodeCount, &draws)
                if moment + lasts <= liveness.at, let fault {
                    drawn.faults.append(ScheduledFault(at: moment, lasts: lasts, fault: fault))
                }
                moment += max(.milliseconds(1), Self.gap(rate, &draws))
            }
        }
        drawn.faults.sort { $0.at < $1.at }
        return drawn
    }

    private static func gap(_ rate: Double, _ draws: inout SeededGenerator) -> Duration {
        Duration.seconds(1).scaled(by: Logarithm.exponential(draws.fraction()) / rate)
    }
}

extension Fault {
    /// A fault of the kind, anywhere; nil if there are too few nodes for it.
    fileprivate init?(_ kind: Swarm.Kind, nodeCount: Int, _ draws: inout SeededGenerator) {
        var nodes = Array(0..<nodeCount)
        draws.shuffle(&nodes)
        let first = draws.below(nodeCount)
        switch kind {
        case .partition:
            guard nodeCount > 1 else { return nil }
            let cut = 1 + draws.below(nodeCount - 1)
            self = .partition([nodes[..<cut].sorted(), nodes[cut...].sorted()])
        case .oneWay:
            guard nodeCount > 1 else { return nil }
            let cut = 1 + draws.below(nodeCount - 1)
            self = .oneWay(from: nodes[..<cut].sorted(), to: nodes[cut...].sorted())
        case .bridge:
            guard nodeCount > 2 else { return nil }
            let cut = 1 + draws.below(nodeCount - 2)
            let rest = nodes.dropLast()
            self = .bridge([rest[..<cut].sorted(), rest[cut...].sorted()], over: nodes[rest.count])
        case .crash: self = .crash([first], disk: .kept, power: false)
        case .power:
            let disk = DiskFault.allCases[draws.below(DiskFault.allCases.count)]
            self = .crash([first], disk: disk, power: true)
        case .stall: self = .stall([first])
        case .loss:
            self = .link(
                from: Array(0..<nodeCount),
                to: Array(0..<nodeCount),
                LinkChange(loss: draws.fraction() * 0.5)
            )
        case .rpcServer:
            let faults = RPCServerFault.allCases
            self = .rpcServer([first], faults[draws.below(faults.count)])
        case .isolation:
            guard nodeCount > 1 else { return nil }
            self = .isolation(nodes[..<(2 + draws.below(nodeCount - 1))].sorted())
        case .jam:
            guard nodeCount > 1 else { return nil }
            let cut = 1 + draws.below(nodeCount - 1)
            self = .jam(from: nodes[..<cut].sorted(), to: nodes[cut...].sorted())
        case .reset: self = .reset(from: [first], to: Array(0..<nodeCount))
        case .slow: self = .slow([first], factor: Double(2 + draws.below(99)))
        case .jump:
            self = .jump([first], by: draws.duration(in: .milliseconds(100) ... .seconds(3600)))
        case .diskFull: self = .disk([first], .full)
        case .llamaServer:
            let faults = LlamaServerFault.allCases
            self = .llamaServer([first], faults[draws.below(faults.count)])
        case .transfer: self = .transfer(to: first)
        case .leave: self = .leave([first])
        case .drain: self = .drain([first])
        }
    }
}

/// Logarithms that are the same on every machine; libm's differ in the last bit.
enum Logarithm {
    private static let ln2 = 0.693147180559945309417

    /// −ln(1 − fraction): an exponentially distributed number with mean 1 from a uniform one.
    static func exponential(_ fraction: Double) -> Double {
        let value = max(1 - fraction, 0x1p-60)
        // value = significand · 2^exponent, and ln((1 + z) / (1 − z)) = 2 · (z + z³/3 + z⁵/5 + …).
        let z = (value.significand - 1) / (value.significand + 1)
        let square = z * z
        var power = z
        var sum = 0.0
        for odd in stride(from: 1.0, through: 13, by: 2) {
            sum += power / odd
            power *= square
        }
        return -(Double(value.exponent) * ln2 + 2 * sum)
    }
}
