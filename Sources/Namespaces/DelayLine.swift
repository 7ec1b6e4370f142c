import CPosix
import DequeModule
import Dispatch
import Primitives
import SystemPackage

/// A cable between two network devices of this process's namespace on which every frame takes its
/// time, in both directions.
///
/// The kernel's own `netem` is missing in many small systems.
package final class DelayLine: Sendable {
    private static let frameByteLimit = 65_536

    private let directions: [Direction]
    private let ends: [FileDescriptor]

    /// Makes both devices, not yet up.
    ///
    /// - Parameter delay: in one direction.
    init(between first: String, and second: String, delay: Duration) throws(NamespaceError) {
        let near = try Self.open(first)
        let far: FileDescriptor
        do throws(NamespaceError) {
            far = try Self.open(second)
        } catch {
            try? near.close()
            throw error
        }
        ends = [near, far]
        directions = [
            Direction(from: near, to: far, delay: delay),
            Direction(from: far, to: near, delay: delay),
        ]
        for direction in directions { direction.start() }
    }

    private static func open(_ name: String) throws(NamespaceError) -> FileDescriptor {
        let descriptor = unsafe tap_open(name)
        guard descriptor >= 0 else {
            throw .refused(
                "no network device of our own (/dev/net/tun): \(Errno(rawValue: -descriptor))"
            )
        }
        return FileDescriptor(rawValue: descriptor)
    }

    /// Takes the devices away.
    package func end() async {
        // Each direction writes where the other one reads.
        for direction in directions { await direction.stop() }
        for end in ends { try? end.close() }
    }

    /// Frames from one device on their way to the other; used on its queue only, once started.
    private final class Direction: @unchecked Sendable {
        private struct Frame {
            let due: DispatchTime
            let bytes: [UInt8]
        }

        private let source: FileDescriptor
        private let target: FileDescriptor
        private let delay: DispatchTimeInterval
        private let queue: DispatchQueue
        private let reading: any DispatchSourceRead
        private let timer: any DispatchSourceTimer
        private var frames = Deque<Frame>()

        init(from source: FileDescriptor, to target: FileDescriptor, delay: Duration) {
            self.source = source
            self.target = target
            self.delay = .nanoseconds(Int(delay.wholeNanoseconds))
            queue = DispatchQueue(label: "caravan.delay", qos: .userInteractive)
            reading = DispatchSource.makeReadSource(
                fileDescriptor: source.rawValue,
                queue: queue
            )
            timer = DispatchSource.makeTimerSource(flags: .strict, queue: queue)
        }

        func start() {
            reading.setEventHandler { [self] in take() }
            timer.setEventHandler { [self] in deliver() }
            reading.resume()
            timer.resume()
        }

        /// All that has come in.
        private func take() {
            var block = [UInt8](repeating: 0, count: DelayLine.frameByteLimit)
            while let count = try? unsafe block.withUnsafeMutableBytes({
                try unsafe source.read(into: $0)
            }), count > 0 {
                let frame = Frame(due: .now() + delay, bytes: Array(block[..<count]))
                frames.append(frame)
                if frames.count == 1 {
                    timer.schedule(deadline: frame.due, leeway: .nanoseconds(0))
                }
            }
        }

        /// All that is due.
        private func deliver() {
            while let frame = frames.first {
                guard frame.due <= .now() else {
                    timer.schedule(deadline: frame.due, leeway: .nanoseconds(0))
                    return
                }
                frames.removeFirst()
                // What the device has no room for is lost, as on any cable.
                _ = try? unsafe frame.bytes.withUnsafeBytes { try unsafe target.write($0) }
            }
        }

        /// When it returns nothing is read or written any more.
        func stop() async {
            timer.cancel()
            await withCheckedContinuation { continuation in
                reading.setCancelHandler { continuation.resume() }
                reading.cancel()
            }
        }
    }
}

extension NamespaceNetwork {
    /// Puts a node behind a long cable.
    ///
    /// Everything between it and all others, the hub included, takes so much longer. Needs
    /// `Hub.own`.
    ///
    /// - Parameter roundTrip: there and back.
    package func lengthen(
        cableOf node: Int,
        roundTrip: Duration
    ) async throws -> DelayLine {
        let port = Self.name(of: node)
        let apart = Self.apartBridge(port)
        let (near, far) = ("\(port)-near", "\(port)-far")
        let line = try DelayLine(between: near, and: far, delay: roundTrip / 2)
        do {
            try await runInHub(
                """
                ip link add \(apart) type bridge mcast_snooping 0
                ip link set \(apart) up
                ip link set \(near) master \(apart) up
                ip link set \(port) master \(apart) up
                ip link set \(far) master \(Self.bridge) up
                """
            )
        } catch {
            await line.end()
            throw error
        }
        return line
    }
}
