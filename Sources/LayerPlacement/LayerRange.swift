/// The part of a model that one device holds: some layers, and maybe the output.
///
/// llama.cpp splits a model into units: its layers and, as the last one, the output layer.
package struct LayerRange: Hashable, Sendable {
    /// Half-open, in `0..<layerCount + 1`; the last unit is the output.
    package let units: Range<Int>
    package let layerCount: Int

    package init(units: Range<Int>, layerCount: Int) {
        precondition(units.lowerBound >= 0 && units.upperBound <= layerCount + 1, "no such unit")
        self.units = units
        self.layerCount = layerCount
    }

    package var layers: Range<Int> {
        min(units.lowerBound, layerCount)..<min(units.upperBound, layerCount)
    }

    package var holdsOutput: Bool { units.contains(layerCount) }
}

extension LayerRange: CustomStringConvertible {
    /// Half-open, as `0..<12` or `12..<24 + output`.
    package var description: String {
        guard holdsOutput else { return "\(layers)" }
        return layers.isEmpty ? "output" : "\(layers) + output"
    }
}
