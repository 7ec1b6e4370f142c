/// How far an installation is.
package struct InstallProgress: Hashable, Sendable {
    package enum Phase: Hashable, Sendable {
        case readingIndex(suite: String)
        case downloading
        case fromCache(folder: String)
        case unpacking
        case collecting
        case verifying
        case alreadyInstalled
        case installed
    }

    package var phase: Phase
    /// Of this phase, 0…1; nil when it cannot be told.
    package var fraction: Double?
    package var byteCount: Int?
    package var totalByteCount: Int?

    init(
        _ phase: Phase,
        fraction: Double? = nil,
        byteCount: Int? = nil,
        totalByteCount: Int? = nil
    ) {
        self.phase = phase
        self.fraction = fraction
        self.byteCount = byteCount
        self.totalByteCount = totalByteCount
    }
}

extension InstallProgress.Phase: CustomStringConvertible {
    package var description: String {
        switch self {
        case .readingIndex(let suite): "Reading the package index of \(suite)"
        case .downloading: "Downloading llama.cpp and its libraries"
        case .fromCache(let folder): "Using the packages in \(folder)"
        case .unpacking: "Unpacking"
        case .collecting: "Picking programs and libraries"
        case .verifying: "Trying the engine"
        case .alreadyInstalled: "The engine is installed already"
        case .installed: "The engine is installed"
        }
    }
}
