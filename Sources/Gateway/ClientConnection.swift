import NIOCore
import Synchronization

/// One connected client, as the task that answers it sees it.
///
/// Short answers are always finished. A long one (a generation, an event stream) is cancelled as
/// soon as nobody waits for it any more, because a generation holds a slot of the whole cluster.
final class ClientConnection: Sendable {
    /// Why a long answer must end early.
    enum Ending: Sendable {
        /// The client closed, vanished, or stopped sending for good.
        case clientGone
        /// The agent stops.
        case shutdown
    }

    let channel: any Channel

    private struct State {
        var ending: Ending?
        var isAnsweringAtLength = false
        var cancel: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())

    init(channel: any Channel) {
        self.channel = channel
    }

    /// Why the answer must end, if it must.
    var ending: Ending? {
        state.withLock { $0.ending }
    }

    /// Sets what cancels the task that answers.
    func onCancel(_ cancel: @escaping @Sendable () -> Void) {
        state.withLock { $0.cancel = cancel }
    }

    /// Declares that what follows may take long; it is cancelled when the client goes, or at once
    /// if it has gone.
    func beginLongAnswer() {
        let cancel = state.withLock { state in
            state.isAnsweringAtLength = true
            return state.ending == nil ? nil : state.cancel
        }
        cancel?()
    }

    /// Declares that the long answer is complete: the connection may carry another request.
    func endLongAnswer() {
        state.withLock { $0.isAnsweringAtLength = false }
    }

    /// Notes that the answer must end; the first reason stays.
    func end(_ ending: Ending) {
        let cancel = state.withLock { state in
            state.ending = state.ending ?? ending
            return state.isAnsweringAtLength ? state.cancel : nil
        }
        cancel?()
    }

    /// Gives a command to the connection's channel handler.
    ///
    /// It takes its turn after everything written before.
    func perform(_ command: ConnectionCommand) {
        channel.triggerUserOutboundEvent(command, promise: nil)
    }
}

/// What a task asks of its connection's channel handler.
enum ConnectionCommand: Sendable {
    /// Writes these bytes of body whenever the interval has passed, until the answer is complete.
    case heartbeat(ByteBuffer, every: TimeAmount)
    /// Writes these bytes of body, completes the answer and closes.
    ///
    /// Needed because a cancelled task cannot write to its channel.
    case finish(ByteBuffer)
    /// Closes once the client has read what was written, or had its time to.
    case closeSoon
}
