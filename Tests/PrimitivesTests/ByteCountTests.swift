import Primitives
import Testing

struct ByteCountTests {
    @Test(
        arguments: [
            ("0", 0), ("4096", 4096), ("4096B", 4096), ("1k", 1024), ("1KiB", 1024), ("1KB", 1000),
            ("2GiB", 2 << 30), ("2 GiB", 2 << 30), ("2g", 2 << 30), ("512 MiB", 512 << 20),
            ("1.5GB", 1_500_000_000), ("1.5gib", 3 << 29), ("0.5M", 1 << 19), ("1TiB", 1 << 40),
            ("1TB", 1_000_000_000_000), ("0.25", 0), ("3mb", 3_000_000),
            ("9007199254740993", 9_007_199_254_740_993), ("18446744073709551615", .max),
        ] as [(String, UInt64)]
    )
    func `an amount is read`(text: String, bytes: UInt64) {
        #expect(ByteCount(text) == ByteCount(bytes))
    }

    @Test(arguments: [
        "", " ", ".", "GiB", "-1", "+1", "-0", "1.2.3", "1e3", "0x10", "1 XB", "1Gi", "1 G B",
        "nan", "inf", " 1", "1,5GB", "18446744073709551616", "99999999999 TiB", "16777216TiB",
        "1/2", "٣GB", "1GiB!",
    ])
    func `rubbish is no amount`(text: String) {
        #expect(ByteCount(text) == nil)
    }

    @Test(
        arguments: [
            (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1535, "1.4 KiB"), (1536, "1.5 KiB"),
            (1 << 20, "1.0 MiB"), ((1 << 20) - 1, "1023.9 KiB"), (3 << 29, "1.5 GiB"),
            (1 << 40, "1.0 TiB"), (.max, "16777215.9 TiB"),
        ] as [(UInt64, String)]
    )
    func `an amount is printed with one decimal, never rounded up`(bytes: UInt64, text: String) {
        #expect(ByteCount(bytes).description == text)
    }

    @Test(arguments: [0, 1000, 1024, 5 << 20, 7 << 30, 9 << 40] as [UInt64])
    func `what is printed exactly can be read`(bytes: UInt64) {
        #expect(ByteCount(ByteCount(bytes).description) == ByteCount(bytes))
    }

    @Test func `sums and differences stop at the ends`() {
        #expect(ByteCount(.max) + ByteCount(1) == ByteCount(.max))
        #expect(ByteCount(1) - ByteCount(2) == .zero)
        #expect(ByteCount(5) + ByteCount(2) == ByteCount(7))
        #expect(ByteCount(5) - ByteCount(2) == ByteCount(3))
    }
}
