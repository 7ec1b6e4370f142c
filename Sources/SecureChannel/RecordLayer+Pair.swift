import Primitives

extension RecordLayer {
    /// Both ends of a sealed stream, from a whole handshake of two new devices; for benches and
    /// tests of what carries records.
    package static func pair(
        _ suite: NoiseSuite
    ) throws(SecureChannelError) -> (near: RecordLayer, far: RecordLayer) {
        let keys = KeyRing(.random()).keys(cluster: "pair", at: 0)
        let identities = (near: DeviceIdentity(), far: DeviceIdentity())
        var nearHellos = HelloLedger(own: identities.near.node, time: 0) { _ in true }
        var farHellos = HelloLedger(own: identities.far.node, time: 0) { _ in true }
        var (near, message) = try StreamSeal.connecting(
            to: Endpoint(address: .loopback, port: 1),
            for: .frames,
            suite: suite,
            identity: identities.near,
            keys: keys,
            hellos: &nearHellos
        )
        var far = StreamSeal(accepting: identities.far, keys: keys)
        var events: [StreamSeal.Event] = []
        for _ in 0..<2 {
            var answer: [UInt8] = []
            try far.receive(message, hellos: &farHellos, answer: &answer, events: &events)
            message = []
            try near.receive(answer, hellos: &nearHellos, answer: &message, events: &events)
        }
        guard let nearRecords = near.takeRecords(), let farRecords = far.takeRecords() else {
            throw .outOfOrder
        }
        return (nearRecords, farRecords)
    }
}
