// A seeded sample of a table's rows that keeps the share of each class.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace orchestrate {

// The indices of `wanted` of the rows, in order. Every class gives its share, and at least one row: its r-th
// row in random order has the rank (r + 1/2) / rows of the class, the first one 0, and the rows of lowest
// rank are taken. The sample of n rows is part of that of n + 1, and depends on seed and line numbers alone.
// `label` and `line` have one entry per row; wanted is at most their number.
std::vector<std::size_t> sample_rows(std::span<const std::int32_t> label, std::span<const std::int64_t> line,
                                     std::size_t wanted, std::uint64_t seed);

}  // namespace orchestrate
