import CPosix

/// What a disk has room for.
package enum DiskSpace {
    /// How much may still be written in a folder; nil if the system does not say.
    package static func freeByteCount(at folder: String) -> UInt64? {
        let count = unsafe store_free_bytes(folder)
        return count < 0 ? nil : UInt64(count)
    }
}
