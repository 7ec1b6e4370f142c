/// Why network namespaces are not to be had, or what did not work in one.
package enum NamespaceError: Error, Equatable {
    /// A program that is needed is not installed.
    case missing(program: String, package: String)
    /// The kernel does not let this process have namespaces.
    case refused(String)
    /// A command in a namespace failed.
    case failed(command: String, String)
}

extension NamespaceError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .missing(let program, let package):
            "\(program) is not installed: apt-get install \(package)"
        case .refused(let reason):
            "this system gives us no network namespaces; run it as root (\(reason))"
        case .failed(let command, let reason): "\(command): \(reason)"
        }
    }
}
