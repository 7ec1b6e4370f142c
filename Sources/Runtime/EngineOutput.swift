import LayerPlacement
import Primitives

enum LlamaServerOutput {
    static func record(of line: String) -> LogRecord {
        LogRecord("engine.llamaServer.output", .debug, line)
    }
    static func read(_ line: String) -> ServerEvent? {
        line.contains("model loaded") ? .loaded : nil
    }
}
enum RPCServerOutput {
    static func record(of line: String) -> LogRecord {
        LogRecord("engine.rpcServer.output", .debug, line)
    }
}
