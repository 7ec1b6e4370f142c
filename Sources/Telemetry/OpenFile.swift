import CPosix

/// Why the operating system refused something.
struct SystemError: Error, Equatable, CustomStringConvertible {
    let number: Int32

    var description: String {
        let capacity = 128
        let text = unsafe [CChar](unsafeUninitializedCapacity: capacity) { buffer, count in
            unsafe telemetry_error_text(number, buffer.baseAddress, Int32(capacity))
            count = capacity
        }
        let bytes = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Which file a path or a descriptor stands for: the same pair means the same file.
struct FileIdentity: Hashable {
    let device: UInt64
    let number: UInt64
}

struct FileFacts {
    let identity: FileIdentity
    let byteCount: Int

    /// Nil if there is no such file or it cannot be looked at.
    init?(path: String) {
        self.init(unsafe telemetry_facts_of_path(path))
    }

    init?(_ file: OpenFile) {
        self.init(telemetry_facts_of_descriptor(file.descriptor))
    }

    private init?(_ facts: telemetry_file_facts) {
        guard facts.error == 0 else { return nil }
        identity = FileIdentity(device: facts.device, number: facts.number)
        byteCount = Int(facts.size)
    }
}

/// A descriptor that closes itself.
final class OpenFile: Sendable {
    let descriptor: Int32

    private init(_ result: Int32) throws(SystemError) {
        guard result >= 0 else { throw SystemError(number: -result) }
        descriptor = result
    }

    deinit {
        telemetry_close(descriptor)
    }

    /// Opens, and if need be creates (mode 0600), a file that only grows.
    static func appending(to path: String) throws(SystemError) -> OpenFile {
        try OpenFile(unsafe telemetry_open_append(path))
    }

    static func reading(_ path: String) throws(SystemError) -> OpenFile {
        try OpenFile(unsafe telemetry_open_read(path))
    }

    /// At most `count` bytes from the offset on; none at the end of the file.
    func read(_ count: Int, at offset: Int) throws(SystemError) -> [UInt8] {
        var result: Int64 = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            result = unsafe telemetry_read_at(
                descriptor,
                buffer.baseAddress,
                Int64(count),
                Int64(offset)
            )
            initialized = Int(max(0, result))
        }
        guard result >= 0 else { throw SystemError(number: Int32(-result)) }
        return bytes
    }
}

enum FileSystem {
    /// Writes what it can of the bytes, waiting for a full pipe no longer than `patience`.
    static func write(
        _ bytes: ArraySlice<UInt8>,
        to descriptor: Int32,
        patienceMilliseconds: Int32
    ) -> (written: Int, failure: SystemError?) {
        var written = 0
        while written < bytes.count {
            let rest = bytes.dropFirst(written)
            let result = unsafe rest.withUnsafeBufferPointer { buffer in
                unsafe telemetry_write(
                    descriptor,
                    buffer.baseAddress,
                    Int64(buffer.count),
                    patienceMilliseconds
                )
            }
            if result < 0 { return (written, SystemError(number: Int32(-result))) }
            written += Int(result)
        }
        return (written, nil)
    }

    static func rename(_ path: String, to newPath: String) throws(SystemError) {
        let result = unsafe telemetry_rename(path, newPath)
        guard result == 0 else { throw SystemError(number: -result) }
    }

    /// Creates the directory, and those above it that are missing, with mode 0700.
    static func makeDirectory(_ path: String) throws(SystemError) {
        if FileFacts(path: path) != nil { return }
        if let slash = path.lastIndex(of: "/"), slash != path.startIndex {
            try makeDirectory(String(path[..<slash]))
        }
        let result = unsafe telemetry_make_directory(path)
        guard result == 0 else { throw SystemError(number: -result) }
    }
}
