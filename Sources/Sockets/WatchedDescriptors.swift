/// Whom a loop tells that a descriptor is ready.
protocol PollHandler: AnyObject, Sendable {
    /// Called on the loop, again and again for as long as it is true.
    func ready(_ events: PollEvents)
}

/// The name of a watched descriptor; never used twice, unlike the descriptor's number.
struct WatchToken: Hashable, Sendable {
    let number: UInt64
}

/// The descriptors that a loop watches.
struct WatchedDescriptors {
    private var entries: [WatchToken: (descriptor: Int32, handler: any PollHandler)] = [:]
    /// Zero is the loop's own.
    private var lastNumber: UInt64 = 0

    mutating func add(_ descriptor: Int32, _ handler: any PollHandler) -> WatchToken {
        lastNumber += 1
        let token = WatchToken(number: lastNumber)
        entries[token] = (descriptor, handler)
        return token
    }

    /// The descriptor that was watched, if it was.
    mutating func remove(_ token: WatchToken) -> Int32? {
        entries.removeValue(forKey: token)?.descriptor
    }

    mutating func removeAll() -> [any PollHandler] {
        defer { entries = [:] }
        return entries.values.map(\.handler)
    }

    func descriptor(of token: WatchToken) -> Int32? { entries[token]?.descriptor }

    func handler(of token: WatchToken) -> (any PollHandler)? { entries[token]?.handler }
}
