extension FixedWidthInteger where Self: UnsignedInteger {
    /// Reads ASCII digits and nothing else; nil also if the value does not fit.
    ///
    /// The standard library's own initialiser takes a sign too: `+1`, and `-0` for zero.
    package init?(digits text: some StringProtocol, radix: Int = 10) {
        guard let first = text.utf8.first, first != UInt8(ascii: "+"), first != UInt8(ascii: "-")
        else { return nil }
        self.init(text, radix: radix)
    }
}
