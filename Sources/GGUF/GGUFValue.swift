/// The type of a metadata value, as numbered in the file (`gguf.h`).
package enum GGUFValueType: UInt32, Sendable {
    case uint8 = 0
    case int8 = 1
    case uint16 = 2
    case int16 = 3
    case uint32 = 4
    case int32 = 5
    case float32 = 6
    case boolean = 7
    case string = 8
    case array = 9
    case uint64 = 10
    case int64 = 11
    case float64 = 12

    /// The size of a value in the file; nil when it has its own length.
    package var fixedByteCount: Int? {
        switch self {
        case .uint8, .int8, .boolean: 1
        case .uint16, .int16: 2
        case .uint32, .int32, .float32: 4
        case .uint64, .int64, .float64: 8
        case .string, .array: nil
        }
    }
}

/// A metadata value.
package enum GGUFValue: Equatable, Sendable {
    case uint8(UInt8)
    case int8(Int8)
    case uint16(UInt16)
    case int16(Int16)
    case uint32(UInt32)
    case int32(Int32)
    case float32(Float)
    case boolean(Bool)
    case string(String)
    case array(GGUFArray)
    case uint64(UInt64)
    case int64(Int64)
    case float64(Double)

    /// The value when it is an integer of any width and not negative.
    package var unsignedInteger: UInt64? {
        switch self {
        case .uint8(let value): UInt64(value)
        case .uint16(let value): UInt64(value)
        case .uint32(let value): UInt64(value)
        case .uint64(let value): value
        case .int8(let value): UInt64(exactly: value)
        case .int16(let value): UInt64(exactly: value)
        case .int32(let value): UInt64(exactly: value)
        case .int64(let value): UInt64(exactly: value)
        case .float32, .float64, .boolean, .string, .array: nil
        }
    }

    package var text: String? {
        if case .string(let text) = self { text } else { nil }
    }

    package var array: GGUFArray? {
        if case .array(let array) = self { array } else { nil }
    }

    package var type: GGUFValueType {
        switch self {
        case .uint8: .uint8
        case .int8: .int8
        case .uint16: .uint16
        case .int16: .int16
        case .uint32: .uint32
        case .int32: .int32
        case .float32: .float32
        case .boolean: .boolean
        case .string: .string
        case .array: .array
        case .uint64: .uint64
        case .int64: .int64
        case .float64: .float64
        }
    }
}

/// A metadata array, whose elements are kept only when they are few.
package struct GGUFArray: Equatable, Sendable {
    package let elementType: GGUFValueType
    package let count: Int
    /// Nil for an array that the reader passed over.
    ///
    /// A tokenizer's 150,000 strings are of no use to anyone but the engine.
    package let elements: [GGUFValue]?

    init(elementType: GGUFValueType, count: Int, elements: [GGUFValue]?) {
        self.elementType = elementType
        self.count = count
        self.elements = elements
    }

    /// An array to be written; the elements are all of the given type.
    package init(_ elementType: GGUFValueType, _ elements: [GGUFValue]) {
        precondition(elements.allSatisfy { $0.type == elementType }, "one array, one type")
        self.init(elementType: elementType, count: elements.count, elements: elements)
    }
}
