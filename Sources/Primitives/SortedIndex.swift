extension RandomAccessCollection where Index == Int {
    /// The first index from which on elements do not come before what is looked for; the elements
    /// must be sorted so that all that do come first.
    @inlinable
    package func sortedIndex(_ comesBefore: (Element) -> Bool) -> Int {
        var low = startIndex
        var high = endIndex
        while low < high {
            let middle = (low + high) / 2
            if comesBefore(self[middle]) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
