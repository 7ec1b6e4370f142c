import FoundationEssentials
import FuzzTargets

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Android)
import Android
#elseif canImport(Darwin)
import Darwin
#endif

// libFuzzer takes the arguments, so the environment says which target: CARAVAN_FUZZ_TARGET.

/// Feeds one input to a target; a broken promise ends the process as a crash does.
private func feed(_ bytes: [UInt8], to target: FuzzTarget) {
    do {
        try target.read(bytes)
    } catch {
        print("\(target.name): \(error)")
        fflush(nil)
        abort()
    }
}

private func chosenTarget() -> FuzzTarget {
    let name = ProcessInfo.processInfo.environment["CARAVAN_FUZZ_TARGET"] ?? ""
    guard let target = FuzzTarget.named(name) else {
        print("CARAVAN_FUZZ_TARGET names one of these:")
        for target in FuzzTarget.all { print("  \(target.name): \(target.about)") }
        exit(64)
    }
    return target
}

#if Fuzzing
private let target = chosenTarget()

/// What libFuzzer calls for each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    feed(unsafe [UInt8](UnsafeBufferPointer(start: start, count: count)), to: target)
    return 0
}
#else
/// Without the trait Fuzzing, it feeds the files that it is given, and is done.
@main
enum Fuzzer {
    static func main() {
        let target = chosenTarget()
        for path in CommandLine.arguments.dropFirst() {
            guard let data = FileManager.default.contents(atPath: path) else {
                print("\(path): cannot be read")
                exit(1)
            }
            feed([UInt8](data), to: target)
        }
        print("\(target.name): \(CommandLine.arguments.count - 1) files read")
    }
}
#endif
