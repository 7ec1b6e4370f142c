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

    @Option(help: "Draw the run into this file: one HTML page that needs no network.")
    var diagram: String?

    @OptionGroup var planted: PlantedMutant

    func run() async throws {
        try planted.plant()
        let file = try ScenarioFile.read(file)
        let seed = seed ?? file.scenario.seed
        if let description = file.scenario.description, trace != "-" {
            Output.write(description + "\n")
        }
        let result = try run(file, seed: seed)
        let statistics = result.statistics
        var line = "\(file.scenario.name): seed \(seed), hash "
        line += SimulateCommand.hexadecimal(result.hash)
        line += ", \(result.virtualTime.inSeconds) s, \(statistics.sentCount) datagrams"
        if let converged = result.convergedAfter {
            line += ", all well \(converged.scenarioText) after the network was quiet"
        }
        if let violation = result.violation {
            Output.write(line + "\n")
            let command = SimulateCommand.repeating(file, seed: seed) + planted.words
            Output.writeError("\(violation) — seed \(seed): \(command)")
            throw ExitCode(1)
        }
        Output.write(line + "\n")
    }

    private func run(_ file: ScenarioFile, seed: UInt64) throws -> SimulationResult {
        guard trace != nil || diagram != nil else {
            return Simulation(scenario: file.scenario, seed: seed).run()
        }
        let writer = try trace.map { try LineFile($0) }
        let page = try diagram.map { try LineFile($0) }
        var lines: [String] = []
        let isDrawn = page != nil
        let result = Simulation(scenario: file.scenario, seed: seed) { line in
            writer?.write(line)
            if isDrawn { lines.append(line) }
        }.run()
        try writer?.end()
        if let page {
            let run = DiagramRun(scenario: file.scenario, result: result, lines: lines)
            page.write(Diagram.html(runs: [run]))
            try page.end()
        }
        return result
    }
}

/// Where lines go, in pieces large enough to be quick.
final class LineFile {
    private let file: FileDescriptor
    private let path: String
    private var buffer: [UInt8] = []
    private var failure: Errno?
    private static let flushByteCount = 1 << 16

    init(_ path: String) throws {
        self.path = path
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

    /// Called once; exits with 2 if the file has not got everything.
    func end() throws {
        flush()
        // A reader that has seen enough (`| head`) is no error of the run.
        guard let failure, failure != .brokenPipe else { return }
        throw ScenarioFile.refused("\(path): cannot be written to its end: \(failure)")
    }

    private func flush() {
        guard failure == nil else { return }
        do {
            try file.writeAll(buffer)
        } catch {
            failure = error as? Errno ?? .ioError
        }
        buffer.removeAll(keepingCapacity: true)
    }
}
