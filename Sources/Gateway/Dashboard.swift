import HTTPTypes
import NIOCore

/// The dashboard: one page without any outside part, compiled into the binary.
///
/// Its source is Dashboard/index.html.
enum Dashboard {
    /// Where the page wants the nonce that lets its own script and style run, and no others.
    private static let placeholder = "{{nonce}}"

    private static let pieces: [Substring] = String(
        decoding: PackageResources.index_html,
        as: UTF8.self
    ).split(separator: placeholder, omittingEmptySubsequences: false)

    static func page(nonce: String) -> ByteBuffer {
        ByteBuffer(string: pieces.joined(separator: nonce))
    }

    static func policy(nonce: String) -> String {
        """
        default-src 'none'; script-src 'nonce-\(nonce)'; style-src 'nonce-\(nonce)'; \
        connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
        frame-ancestors 'none'
        """
    }
}

extension Reply {
    func sendDashboard() async throws {
        var generator = SystemRandomNumberGenerator()
        let nonce = String(generator.next(), radix: 36) + String(generator.next(), radix: 36)
        var fields = HTTPFields()
        fields[.contentType] = "text/html; charset=utf-8"
        fields[.cacheControl] = "no-store"
        fields[.contentSecurityPolicy] = Dashboard.policy(nonce: nonce)
        fields[.xContentTypeOptions] = "nosniff"
        if let referrer = HTTPField.Name("Referrer-Policy") { fields[referrer] = "no-referrer" }
        try await send(.ok, fields, Dashboard.page(nonce: nonce))
    }
}
