/// Reads the header of a GGUF file, version 2 or 3, with a bound on everything in it.
///
/// A model may come from anywhere, so no content crashes the reader or makes it store more than
/// its limits allow. The layout is that of `gguf.md` of ggml: magic, version, number of tensors,
/// number of metadata entries, the entries, the tensor infos, padding, the weights.
package struct GGUFReader: Sendable {
    /// Bounds above every model known, and below what would hurt a phone.
    package struct Limits: Sendable {
        package var headerByteLimit: UInt64 = 128 << 20
        package var metadataCountLimit: UInt64 = 4096
        package var tensorCountLimit: UInt64 = 65536
        package var keyByteLimit: UInt64 = 1024
        package var stringByteLimit: UInt64 = 4 << 20
        package var tensorNameByteLimit: UInt64 = 128
        package var dimensionCountLimit: UInt64 = 4
        package var arrayElementLimit: UInt64 = 4 << 20
        package var arrayNestingLimit: UInt64 = 3
        /// Longer arrays, and arrays within arrays, are counted and passed over.
        package var storedElementLimit: UInt64 = 1024
        /// How much is asked of the reading closure at once.
        package var windowByteCount = 64 << 10

        package init() {}
    }

    private static let magic: UInt32 = 0x4655_4747  // "GGUF"
    private static let alignmentKey = "general.alignment"
    private static let defaultAlignment: UInt64 = 32

    private let limits: Limits

    package init(limits: Limits = Limits()) {
        self.limits = limits
    }

    /// Reads the header through a closure that returns the bytes asked for.
    ///
    /// The closure is asked for ranges within the file only, from front to back, of at most
    /// `windowByteCount` bytes. It throws `GGUFError.unreadable` when the file cannot be read.
    /// `byteCount` is the size of the whole file, within which every tensor has to lie.
    package func readHeader(
        byteCount: UInt64,
        read: (_ offset: UInt64, _ byteCount: Int) throws(GGUFError) -> [UInt8]
    ) throws(GGUFError) -> GGUFFile {
        try withoutActuallyEscaping(read) { read throws(GGUFError) in
            var cursor = GGUFCursor(
                fileByteCount: byteCount,
                headerByteLimit: limits.headerByteLimit,
                windowByteCount: limits.windowByteCount,
                read: read
            )
            return try header(&cursor, byteCount: byteCount)
        }
    }

    private func header(
        _ cursor: inout GGUFCursor,
        byteCount: UInt64
    ) throws(GGUFError) -> GGUFFile {
        let magic = try cursor.integer(UInt32.self)
        guard magic == Self.magic else { throw .notGGUF(magic: magic) }
        let version = try cursor.integer(UInt32.self)
        guard version == 2 || version == 3 else { throw .unsupportedVersion(version) }
        let tensorCount = try cursor.integer(UInt64.self)
        let metadataCount = try cursor.integer(UInt64.self)
        try check(.tensors, tensorCount, limits.tensorCountLimit)
        try check(.metadata, metadataCount, limits.metadataCountLimit)

        var metadata: [GGUFFile.Entry] = []
        var alignment = Self.defaultAlignment
        for _ in 0..<metadataCount {
            let entry = try entry(&cursor)
            if entry.key == Self.alignmentKey { alignment = try self.alignment(entry.value) }
            metadata.append(entry)
        }
        var tensors: [GGUFFile.Tensor] = []
        for _ in 0..<tensorCount {
            tensors.append(try tensor(&cursor, alignment: alignment))
        }

        // A file without tensors (a vocabulary) may end without the padding.
        let dataOffset = (cursor.offset + alignment - 1) & ~(alignment - 1)
        let available = byteCount > dataOffset ? byteCount - dataOffset : 0
        for tensor in tensors {
            let (end, overflow) = tensor.offset.addingReportingOverflow(tensor.byteCount)
            guard !overflow, end <= available else {
                throw .tensorOutsideFile(
                    end: overflow ? .max : end,
                    available: available,
                    tensor: tensor.name
                )
            }
        }
        return try GGUFFile(
            version: version,
            metadata: metadata,
            tensors: tensors,
            alignment: alignment,
            dataOffset: dataOffset,
            byteCount: byteCount
        )
    }

    private func alignment(_ value: GGUFValue) throws(GGUFError) -> UInt64 {
        guard let alignment = value.unsignedInteger else {
            throw .wrongValueType(key: Self.alignmentKey)
        }
        guard alignment.nonzeroBitCount == 1, 8...65536 ~= alignment else {
            throw .invalidAlignment(alignment)
        }
        return alignment
    }

    private func check(
        _ part: GGUFError.Part,
        _ count: UInt64,
        _ limit: UInt64
    ) throws(GGUFError) {
        guard count <= limit else { throw .overLimit(part, count: count, limit: limit) }
    }
}

// MARK: Metadata

extension GGUFReader {
    private func entry(_ cursor: inout GGUFCursor) throws(GGUFError) -> GGUFFile.Entry {
        let key = try cursor.string(.keyBytes, limit: limits.keyByteLimit)
        let type = try valueType(&cursor, key: key)
        let value = try value(&cursor, type, key: key, nesting: 0)
        return GGUFFile.Entry(key: key, value: value)
    }

    private func valueType(
        _ cursor: inout GGUFCursor,
        key: String
    ) throws(GGUFError) -> GGUFValueType {
        let number = try cursor.integer(UInt32.self)
        guard let type = GGUFValueType(rawValue: number) else {
            throw .unknownValueType(number, key: key)
        }
        return type
    }

    private func value(
        _ cursor: inout GGUFCursor,
        _ type: GGUFValueType,
        key: String,
        nesting: UInt64
    ) throws(GGUFError) -> GGUFValue {
        switch type {
        case .uint8: .uint8(try cursor.integer())
        case .int8: .int8(Int8(bitPattern: try cursor.integer()))
        case .uint16: .uint16(try cursor.integer())
        case .int16: .int16(Int16(bitPattern: try cursor.integer()))
        case .uint32: .uint32(try cursor.integer())
        case .int32: .int32(Int32(bitPattern: try cursor.integer()))
        case .float32: .float32(Float(bitPattern: try cursor.integer()))
        case .boolean: .boolean(try cursor.integer(UInt8.self) != 0)
        case .string: .string(try cursor.string(.stringBytes, limit: limits.stringByteLimit))
        case .array: .array(try array(&cursor, key: key, nesting: nesting + 1))
        case .uint64: .uint64(try cursor.integer())
        case .int64: .int64(Int64(bitPattern: try cursor.integer()))
        case .float64: .float64(Double(bitPattern: try cursor.integer()))
        }
    }

    private func array(
        _ cursor: inout GGUFCursor,
        key: String,
        nesting: UInt64
    ) throws(GGUFError) -> GGUFArray {
        try check(.arrayNesting, nesting, limits.arrayNestingLimit)
        let type = try valueType(&cursor, key: key)
        let count = try cursor.integer(UInt64.self)
        try check(.arrayElements, count, limits.arrayElementLimit)
        guard nesting > 1 || count > limits.storedElementLimit else {
            var elements: [GGUFValue] = []
            for _ in 0..<count {
                elements.append(try value(&cursor, type, key: key, nesting: nesting))
            }
            return GGUFArray(elementType: type, count: Int(count), elements: elements)
        }
        if let byteCount = type.fixedByteCount {
            try cursor.skip(count * UInt64(byteCount))
        } else if type == .string {
            for _ in 0..<count { try cursor.skipString(limit: limits.stringByteLimit) }
        } else {
            for _ in 0..<count { _ = try array(&cursor, key: key, nesting: nesting + 1) }
        }
        return GGUFArray(elementType: type, count: Int(count), elements: nil)
    }
}

// MARK: Tensors

extension GGUFReader {
    private func tensor(
        _ cursor: inout GGUFCursor,
        alignment: UInt64
    ) throws(GGUFError) -> GGUFFile.Tensor {
        let name = try cursor.string(.tensorNameBytes, limit: limits.tensorNameByteLimit)
        let dimensionCount = try cursor.integer(UInt32.self)
        try check(.dimensions, UInt64(dimensionCount), limits.dimensionCountLimit)
        var dimensions: [UInt64] = []
        for _ in 0..<dimensionCount { dimensions.append(try cursor.integer()) }
        let typeNumber = try cursor.integer(UInt32.self)
        guard let type = TensorType(rawValue: typeNumber) else {
            throw .unknownTensorType(typeNumber, tensor: name)
        }
        let offset = try cursor.integer(UInt64.self)
        guard offset % alignment == 0 else {
            throw .misalignedTensor(offset: offset, alignment: alignment, tensor: name)
        }
        return GGUFFile.Tensor(
            name: name,
            dimensions: dimensions,
            type: type,
            offset: offset,
            byteCount: try type.byteCount(dimensions: dimensions, tensor: name)
        )
    }
}

extension TensorType {
    /// The bytes of a tensor; rows consist of whole blocks, as ggml demands.
    func byteCount(dimensions: [UInt64], tensor: String) throws(GGUFError) -> UInt64 {
        let block = block
        let rowLength = dimensions.first ?? 1
        guard rowLength % block.length == 0 else {
            throw .partialBlock(
                rowLength: rowLength,
                blockLength: block.length,
                tensor: tensor
            )
        }
        var byteCount = block.byteCount
        for factor in [rowLength / block.length] + dimensions.dropFirst() {
            let (product, overflow) = byteCount.multipliedReportingOverflow(by: factor)
            guard !overflow, factor > 0 else {
                throw .invalidDimensions(dimensions, tensor: tensor)
            }
            byteCount = product
        }
        return byteCount
    }
}
