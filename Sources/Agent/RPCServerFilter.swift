import LlamaRPC
import Primitives
import Sockets

/// Looks on while a master's llama-server uses the RPC server of this device, and ends the
/// connection when the server hangs.
///
/// llama-server would wait for ever; when its connection ends it ends within milliseconds, and
/// the master places the model anew. What is not judged passes as it is.
final class RPCServerFilter: RelayFilter {
    private var dialogue = RPCDialogue()
    private var watch: RPCStallWatch
    private var movedByteCount: UInt64 = 0
    private let process: @Sendable () -> RPCStallWatch.Process
    private let onStall: @Sendable (RPCCommand?) -> Void

    /// - Parameters:
    ///   - process: what the server's process does.
    ///   - onStall: hears what the server does not answer before the connection ends.
    init(
        _ watch: RPCStallWatch,
        process: @escaping @Sendable () -> RPCStallWatch.Process,
        onStall: @escaping @Sendable (RPCCommand?) -> Void
    ) {
        self.watch = watch
        self.process = process
        self.onStall = onStall
    }

    func pass(
        _ bytes: ArraySlice<UInt8>,
        from side: RelaySide,
        toFirst: inout [UInt8],
        toSecond: inout [UInt8]
    ) throws(RelayFilterError) {
        movedByteCount += UInt64(bytes.count)
        var rest = bytes
        do throws(RPCFramingError) {
            switch side {
            case .first:
                while try dialogue.nextRequest(&rest) != nil {}
                toSecond += bytes
            case .second:
                while try dialogue.nextReply(&rest) != nil {}
                toFirst += bytes
            }
        } catch {
            throw RelayFilterError("\(error)")
        }
    }

    func ended(_ side: RelaySide, toFirst: inout [UInt8], toSecond: inout [UInt8]) {}

    var checkInterval: Duration? { RPCStallWatch.checkInterval }

    func check(_ glance: RelayGlance) throws(RelayFilterError) {
        let isTurn =
            glance.isSecondBlocked || (dialogue.isAnswerAwaited && !dialogue.isAmidRequest)
        // A master that does not read holds the server up; that is not the server's fault.
        let owes = isTurn && !glance.isFirstBlocked && dialogue.conversation.isJudged
        let isStalled = watch.isStalled(
            owes: owes,
            movedByteCount: movedByteCount,
            process: process,
            at: glance.now
        )
        guard isStalled else { return }
        onStall(dialogue.conversation.awaited)
        throw RelayFilterError("the RPC server hangs")
    }
}
