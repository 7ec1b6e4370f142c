import FoundationEssentials
package import Primitives

/// That this device was removed from its cluster, and who said so.
///
/// Kept until it joins one anew, or a newer ring takes it back in.
package struct FarewellFile: Sendable {
    package let path: String

    package init(stateFolder: String) {
        path = stateFolder + "/removed"
    }

    /// The member that said so; nil if this device was not removed, as far as it knows.
    package func read() -> NodeID? {
        guard let data = FileManager.default.contents(atPath: path) else { return nil }
        return NodeID(String(decoding: data, as: UTF8.self).filter { $0.isHexDigit })
    }

    package func write(_ member: NodeID) throws {
        try SecretFile.write(Array("\(member)\n".utf8), to: path)
    }

    package func remove() {
        try? FileManager.default.removeItem(atPath: path)
    }
}
