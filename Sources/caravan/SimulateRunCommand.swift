import ArgumentParser
import Primitives
import Simulator
import SystemPackage

struct SimulateRunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run one scenario once."
    )

    @Argument(help: ArgumentHelp("The scenario.", valueName: "file"))
    var file: String

    @Option(help: "The seed; the scenario's own if none is given.")
    var seed: UInt64?

    @Option(help: "Write a JSON line for all that happens to this file; - is standard output.")
    var trace: String?

    func run() async throws {
        let file = try ScenarioFile.read(file)
        let seed = seed ?? file.scenario.seed
        if let description = file.scenario.description, trace != "-" {
            Output.write(description + "\n")
        }
        let result: SimulationResult
        if let trace {
            let writer = try TraceFile(trace)
            result = Simulation(scenario: file.scenario, seed: seed, writeTrace: writer.write).run()
            writer.flush()
        } else {
            result = Simulation(scenario: file.scenario, seed: seed).run()
        }
        let statistics = result.statistics
        var line = "\(file.scenario.name): seed \(seed), hash "
        line += SimulateCommand.hexadecimal(result.hash)
        line += ", \(result.virtualTime.inSeconds) s, \(statistics.sentCount) datagrams"
        if let converged = result.convergedAfter {
            line += ", all well \(converged.inSeconds) s after the network was quiet"
        }
        if let violation = result.violation {
            Output.write(line + "\n")
            let command = SimulateCommand.repeating(file, seed: seed)
            Output.writeError("\(violation) — seed \(seed): \(command)")
            throw ExitCode(1)
        }
        Output.write(line + "\n")
    }
}

/// Where trace lines go, in pieces large enough to be quick.
private final class TraceFile {
    private let file: FileDescriptor
    private var buffer: [UInt8] = []
    private static let flushByteCount = 1 << 16

    init(_ path: String) throws {
        guard path != "-" else {
            file = .standardOutput
            return
        }
        do {
            file = try FileDescriptor.open(
                FilePath(path),
                .writeOnly,
                options: [.create, .truncate],
                permissions: [.ownerReadWrite, .groupRead, .otherRead]
            )
        } catch {
            throw ScenarioFile.refused("\(path): cannot be written: \(error)")
        }
    }

    func write(_ line: String) {
        buffer += line.utf8
        buffer.append(0x0A)
        if buffer.count >= Self.flushByteCount { flush() }
    }

    func flush() {
        // A reader that has seen enough (`| head`) is no error of the run.
        _ = try? file.writeAll(buffer)
        buffer.removeAll(keepingCapacity: true)
    }
}
