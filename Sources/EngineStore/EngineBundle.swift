internal import FoundationEssentials

/// The layout of an installed engine: programs, libraries and their loader in one folder `lib`.
///
/// One folder, because ggml looks for its backends next to the running program, which with an
/// explicit loader is the loader.
enum EngineBundle {
    static let libraryFolder = "lib"

    /// The programs of a bundle; nil when the folder holds none.
    static func programs(in folder: String) throws(EngineError) -> EnginePrograms? {
        let library = folder + "/" + libraryFolder
        let names = folderContents(library)
        guard let loader = names.first(where: isLoader), names.contains(EngineLocator.serverName)
        else { return nil }
        guard let rpcName = EngineLocator.rpcServerNames.first(where: names.contains) else {
            throw .incomplete(
                folder: library,
                missing: EngineLocator.rpcServerNames.joined(separator: " or ")
            )
        }
        func program(_ name: String) -> EngineProgram {
            EngineProgram(
                name: name,
                path: library + "/" + name,
                start: .bundled(loader: library + "/" + loader, libraryFolder: library)
            )
        }
        return EnginePrograms(
            folder: folder,
            server: program(EngineLocator.serverName),
            rpcServer: program(rpcName)
        )
    }

    /// `ld-linux-x86-64.so.2`, `ld-linux-aarch64.so.1`, `ld-linux-armhf.so.3`, `ld64.so.2`.
    static func isLoader(_ name: String) -> Bool {
        (name.hasPrefix("ld-linux") || name.hasPrefix("ld64")) && name.contains(".so.")
    }
}
