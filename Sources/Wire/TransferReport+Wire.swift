import LayerPlacement
import Primitives

extension TransferReport {
    func encode(into bytes: inout [UInt8]) {
        bytes.append(ballot)
        bytes.append(bigEndian: number)
        bytes.append(UInt8(transfers.count))
        for transfer in transfers {
            bytes.append(transfer.node)
            bytes.append(bigEndian: transfer.loaded.bytes)
            bytes.append(bigEndian: transfer.sent.bytes)
            bytes.append(bigEndian: transfer.perSecond.bytes)
        }
    }

    init(_ bytes: Span<UInt8>, _ reader: inout WireReader) throws(WireError) {
        let ballot = try reader.ballot(bytes)
        let number: UInt32 = try reader.integer(bytes)
        let count = Int(try reader.integer(bytes, UInt8.self))
        guard count <= Self.transferLimit else {
            throw .tooMany(field: "transfers", count: count, limit: Self.transferLimit)
        }
        var transfers: [WorkerTransfer] = []
        for _ in 0..<count {
            let node = try reader.node(bytes)
            let loaded: UInt64 = try reader.integer(bytes)
            let sent: UInt64 = try reader.integer(bytes)
            let perSecond: UInt64 = try reader.integer(bytes)
            transfers.append(
                WorkerTransfer(
                    node: node,
                    loaded: ByteCount(loaded),
                    sent: ByteCount(sent),
                    perSecond: ByteCount(perSecond)
                )
            )
        }
        self.init(ballot: ballot, number: number, transfers: transfers)
    }
}
