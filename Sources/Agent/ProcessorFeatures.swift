import FoundationEssentials
package import SecureChannel

/// What this machine's processor can.
enum ProcessorFeatures {
    /// Whether AES is fast here: without instructions of its own it is slower than ChaCha.
    static let hasAES: Bool = {
        #if os(Linux) || os(Android)
        guard let data = FileManager.default.contents(atPath: "/proc/cpuinfo") else { return false }
        // "flags" on x86, "Features" on ARM; of the first processor.
        let lines = String(decoding: data, as: UTF8.self).split(separator: "\n")
        let features = lines.first { $0.hasPrefix("flags") || $0.hasPrefix("Features") }
        return features?.split(separator: " ").contains("aes") ?? false
        #else
        return true
        #endif
    }()
}

extension NoiseSuite {
    /// The faster one on this machine.
    package static var preferred: NoiseSuite {
        ProcessorFeatures.hasAES ? .aesGCM : .chaChaPoly
    }
}
