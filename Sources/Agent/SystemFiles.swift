import FoundationEssentials

/// Where a system tells of its device, in small texts: /proc and /sys of Linux and Android.
protocol SystemFiles: Sendable {
    /// Nil if there is no such file, or none that this process may read.
    func text(_ path: String) -> String?
    /// Sorted; nil if there is no such folder, or none that this process may read.
    func names(in folder: String) -> [String]?
}

extension SystemFiles {
    /// The only line of a file, without blanks around it.
    func line(_ path: String) -> String? {
        text(path).flatMap { text in
            text.split(whereSeparator: \.isNewline).first.map { line in
                String(line.drop(while: \.isWhitespace).prefix { !$0.isWhitespace || $0 == " " })
            }
        }
    }

    func number(_ path: String) -> Int? {
        line(path).flatMap { Int($0) }
    }
}

/// The files of this device.
struct OwnSystemFiles: SystemFiles {
    func text(_ path: String) -> String? {
        FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
    }

    func names(in folder: String) -> [String]? {
        try? FileManager.default.contentsOfDirectory(atPath: folder).sorted()
    }
}
