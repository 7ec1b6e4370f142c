internal import CPosix

/// Makes sure that no child outlives its agent, even one that was killed with -9.
///
/// swift-subprocess offers nothing that runs in a child before its program does, so a child is
/// started through our own binary: `caravan __guard PARENT -- COMMAND…` asks the kernel to be
/// killed with its parent (`PR_SET_PDEATHSIG`), cleans up what it inherited, and turns into the
/// command. The wish follows the *thread* that forked; swift-subprocess forks from one that lives
/// as long as the process. It does not reach the child's own children, and exists on Linux only.
package enum ProcessGuard {
    static let subcommand = "__guard"
    /// How the guard starts the one line it writes when it cannot start the command.
    static let complaintPrefix = "caravan-guard: "
    static let failureCode: Int32 = 127

    /// Where to find the binary whose `main` calls `becomeCommandIfRequested`.
    package enum Binary: Sendable, Hashable {
        /// The running program itself; stays right when its file is replaced by an update.
        case ownExecutable
        case path(String)
        /// No guard: children survive a killed parent. For tests of other things.
        case none

        var path: String? {
            switch self {
            #if os(Linux) || os(Android)
            case .ownExecutable: "/proc/self/exe"
            #else
            case .ownExecutable: CommandLine.arguments.first
            #endif
            case .path(let path): path
            case .none: nil
            }
        }
    }

    /// To be called first in `main`: does not return when this process was started as a guard.
    package static func becomeCommandIfRequested() {
        unsafe caravan_guard_if_requested(CommandLine.argc, CommandLine.unsafeArgv)
    }
}
