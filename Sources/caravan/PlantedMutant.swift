import ArgumentParser
import Primitives

/// A fault to plant in the product for one command; without the trait `Mutants` there is none.
struct PlantedMutant: ParsableArguments {
    #if Mutants
    @Option(help: "Plant this fault in the product; `simulate mutants` lists them.")
    var mutant: String?
    #endif

    /// What a command that repeats the run needs, too.
    var words: String {
        #if Mutants
        mutant.map { " --mutant \($0)" } ?? ""
        #else
        ""
        #endif
    }

    func plant() throws {
        #if Mutants
        guard let mutant else { return }
        guard let known = Mutant(rawValue: mutant) else {
            throw ScenarioFile.refused(
                "there is no mutant \(mutant): `caravan simulate mutants` lists them"
            )
        }
        Mutant.plant(known)
        #endif
    }
}
