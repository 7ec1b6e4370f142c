/// The version of llama.cpp's RPC protocol that a server or a client speaks.
package struct RPCVersion: Hashable, Sendable {
    package var major: UInt8
    package var minor: UInt8
    package var patch: UInt8

    package init(major: UInt8, minor: UInt8, patch: UInt8) {
        self.major = major
        self.minor = minor
        self.patch = patch
    }

    /// Reads `8.0.0`, also with a leading `v`; nil for anything else.
    package init?(_ text: some StringProtocol) {
        let digits = text.hasPrefix("v") ? text.dropFirst() : text[...]
        let parts = digits.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let major = UInt8(parts[0]), let minor = UInt8(parts[1]),
            let patch = UInt8(parts[2])
        else { return nil }
        self.init(major: major, minor: minor, patch: patch)
    }

    /// Whether llama-server of this version uses an RPC server of the other version.
    ///
    /// It refuses another major version and a minor version above its own (`ggml-rpc.cpp`).
    package func accepts(server: RPCVersion) -> Bool {
        server.major == major && server.minor <= minor
    }
}

extension RPCVersion: CustomStringConvertible {
    package var description: String { "\(major).\(minor).\(patch)" }
}
