import Primitives
import Testing

@testable import Telemetry

@Suite struct JournalFieldsTests {
    private func fields(_ record: LogRecord) -> [String] {
        let fields = JournalFields(stamped(record), agent: "phone")
        var texts: [String] = []
        var rest = fields.bytes[...]
        for length in fields.lengths {
            texts.append(String(decoding: rest.prefix(Int(length)), as: UTF8.self))
            rest = rest.dropFirst(Int(length))
        }
        #expect(rest.isEmpty)
        return texts
    }

    @Test func `a record becomes native fields`() {
        let record = LogRecord(
            "election.master.elected",
            .critical,
            "Node elected\nMaster",
            [
                "term": 3, "bytesPerSecond": .number(1.5), "isLocal": .flag(true),
                "peers": .list(["a", "b c"]), "none": .list([]), "deep": .list([.list([1])]),
            ]
        )
        #expect(
            fields(record) == [
                "MESSAGE=Node elected\nMaster", "PRIORITY=2", "SYSLOG_IDENTIFIER=caravan",
                "CARAVAN_EVENT=election.master.elected", "CARAVAN_LEVEL=critical",
                "CARAVAN_AGENT=phone", "CARAVAN_TIME=2026-11-23T19:54:03.123456Z",
                "CARAVAN_TERM=3", "CARAVAN_BYTES_PER_SECOND=1.5", "CARAVAN_IS_LOCAL=true",
                "CARAVAN_PEERS=a", "CARAVAN_PEERS=b c", "CARAVAN_NONE=[]", "CARAVAN_DEEP=[1]",
            ]
        )
    }

    @Test func `every level has a priority`() {
        let priorities = LogLevel.allCases.map { fields(LogRecord("x", $0, "m"))[1].suffix(1) }
        #expect(priorities == ["7", "7", "6", "5", "4", "3", "2"])
    }

    @Test(arguments: [
        ("rpcPort", "CARAVAN_RPC_PORT"), ("layer2End", "CARAVAN_LAYER2_END"),
        ("peer.deep.x", "CARAVAN_PEER_DEEP_X"), ("nodeID", "CARAVAN_NODE_ID"),
        ("größe=\n", "CARAVAN_GR__E__"), ("agent", "CARAVAN_FIELD_AGENT"),
        ("event", "CARAVAN_FIELD_EVENT"), ("", "CARAVAN_"),
    ])
    func `a key becomes a name that journald takes`(_ key: String, _ name: String) {
        #expect(JournalFields.name(of: key) == name)
    }

    @Test func `names and the number of fields are bounded`() {
        #expect(JournalFields.name(of: String(repeating: "x", count: 500)).utf8.count == 64)
        let many = LogValue.list((0..<1000).map { .integer($0) })
        #expect(fields(LogRecord("x", .info, "m", ["a": many, "b": many])).count == 9)
    }
}
