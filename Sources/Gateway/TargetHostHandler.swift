import NIOCore
import NIOHTTP1
import Primitives

/// Counts the host in a request's target, `GET http://host/path`, as one that the request names.
///
/// What decodes requests after this takes the path out of such a target and forgets the rest, so
/// that a target and a `Host` which contradict each other would pass as one host.
final class TargetHostHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .head(var head) = unwrapInboundIn(data), let host = Self.host(ofTarget: head.uri)
        else {
            context.fireChannelRead(data)
            return
        }
        let named = head.headers["host"]
        if named.count != 1 || named[0].lowercased() != host.lowercased() {
            head.headers.add(name: "host", value: host)
        }
        context.fireChannelRead(wrapInboundOut(.head(head)))
    }

    /// The host and port of an absolute target; nil for a path.
    static func host(ofTarget target: String) -> String? {
        guard !target.hasPrefix("/"), let range = target.firstRange(of: "://") else { return nil }
        let scheme = target[..<range.lowerBound]
        guard scheme.allSatisfy({ $0.isLetter || $0.isNumber || "+-.".contains($0) }) else {
            return nil
        }
        return String(target[range.upperBound...].prefix { !"/?#".contains($0) })
    }
}
