import Foundation
import FuzzTargets
import Testing

extension FuzzTarget: CustomTestStringConvertible {
    package var testDescription: String { name }
}

/// What the fuzzer once found interesting, read again by every target that it is for; and all
/// files by all targets, because who sends bytes does not care for whom they are meant.
@Suite struct CorpusTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Fuzz/Corpus")

    private static func files(of name: String) throws -> [URL] {
        try FileManager.default.contentsOfDirectory(
            at: folder.appending(path: name),
            includingPropertiesForKeys: nil
        ).sorted { $0.path() < $1.path() }
    }

    @Test(arguments: FuzzTarget.all)
    func `a target reads every file of its corpus`(_ target: FuzzTarget) throws {
        let files = try Self.files(of: target.name)
        #expect(files.count >= 3)
        for file in files {
            let bytes = [UInt8](try Data(contentsOf: file))
            #expect(throws: Never.self, "\(file.lastPathComponent)") { try target.read(bytes) }
            // Cut short anywhere.
            for byteCount in Self.cuts(bytes.count) {
                let prefix = Array(bytes.prefix(byteCount))
                #expect(throws: Never.self, "\(file.lastPathComponent), \(byteCount) bytes") {
                    try target.read(prefix)
                }
            }
        }
    }

    /// Of long files not every length: time is short.
    private static func cuts(_ byteCount: Int) -> StrideTo<Int> {
        stride(from: 0, to: byteCount, by: max(1, byteCount / 64))
    }

    @Test(arguments: FuzzTarget.all)
    func `a target reads the files of all others`(_ target: FuzzTarget) throws {
        for other in FuzzTarget.all where other.name != target.name {
            for file in try Self.files(of: other.name) {
                let bytes = [UInt8](try Data(contentsOf: file))
                #expect(throws: Never.self, "\(other.name)/\(file.lastPathComponent)") {
                    try target.read(bytes)
                }
            }
        }
    }

    @Test func `every folder of the corpus belongs to a target, and names are unique`() throws {
        let folders = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path())
        #expect(Set(folders) == Set(FuzzTarget.all.map(\.name)))
        #expect(Set(FuzzTarget.all.map(\.name)).count == FuzzTarget.all.count)
    }
}
