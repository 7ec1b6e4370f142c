internal import Primitives

/// Pairs the replies of an RPC server with the requests that they answer.
///
/// A server answers in order. As soon as a command comes of which it is not known whether it is
/// answered, pairing would be guesswork: the conversation is not judged any more.
package struct RPCConversation: Sendable {
    /// A client asks and waits; one that asks on and on without reading is not judged.
    package static let awaitedLimit = 1024

    private enum State: Sendable {
        case judged(awaited: ArraySlice<RPCCommand>)
        case unjudged
    }

    private var state = State.judged(awaited: [])
    /// What a client has asked that does not wait for the version.
    private var undecided: [UInt8] = []
    /// As the server's HELLO said it.
    package private(set) var version: RPCVersion?

    /// - Parameter version: if it is known before the server's HELLO has said it.
    package init(version: RPCVersion? = nil) {
        self.version = version
    }

    /// Whether it is known what the server owes.
    package var isJudged: Bool {
        if case .judged = state { true } else { false }
    }

    /// How many answers the server owes; 0 when that is not known.
    package var awaitedCount: Int {
        if case .judged(let awaited) = state { awaited.count } else { 0 }
    }

    /// The command that the next reply answers.
    package var awaited: RPCCommand? {
        if case .judged(let awaited) = state { awaited.first } else { nil }
    }

    /// A request has begun: says whether an answer to it is awaited; nil if that is not known.
    @discardableResult
    package mutating func asks(_ command: UInt8) -> Bool? {
        guard case .judged(var awaited) = state else { return nil }
        if version == nil, awaited.first == .hello, undecided.count < Self.awaitedLimit {
            undecided.append(command)
            return nil
        }
        state = .unjudged
        guard let isAnswered = RPCCommand.isAnswered(command, by: version),
            let known = RPCCommand(rawValue: command), awaited.count < Self.awaitedLimit
        else { return nil }
        if isAnswered { awaited.append(known) }
        state = .judged(awaited: awaited)
        return isAnswered
    }

    /// A reply has arrived whole; returns what it answers, nil if that is not known.
    @discardableResult
    package mutating func isAnswered() -> RPCCommand? {
        guard case .judged(var awaited) = state, !awaited.isEmpty else { return nil }
        state = .unjudged
        let command = awaited.removeFirst()
        // A slice keeps what was removed until it grows.
        state = .judged(awaited: awaited.isEmpty ? [] : awaited)
        return command
    }

    /// What the server said of itself: the payload of its answer to HELLO.
    package mutating func greets(_ payload: [UInt8]) {
        version = RPCVersion(hello: payload)
        let commands = undecided
        undecided = []
        guard version != nil || commands.isEmpty else {
            state = .unjudged
            return
        }
        for command in commands { asks(command) }
    }

    /// From here on nothing is known of the conversation.
    package mutating func stopJudging() {
        state = .unjudged
    }
}

extension RPCVersion {
    /// Reads the payload of an answer to HELLO; nil for one of another length.
    package init?(hello payload: [UInt8]) {
        guard [3, 4, 28].contains(payload.count) else { return nil }
        self.init(major: payload[0], minor: payload[1], patch: payload[2])
    }
}
