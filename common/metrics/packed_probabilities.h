// The probabilities of all classes for each row of a part, small enough to be kept for every job: integers of 1/65535ths,
// their high bytes before their low ones, compressed by zlib. What is read back differs by at most 1/131070.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <boost/describe.hpp>

#include "common/base/json.h"

namespace orchestrate {

struct PackedProbabilities {
    std::int64_t rows = 0;
    std::int64_t classes = 0;
    Bytes data;
    bool operator==(const PackedProbabilities&) const = default;
};
BOOST_DESCRIBE_STRUCT(PackedProbabilities, (), (rows, classes, data))

// A probability in 65535ths.
std::uint16_t fixed_point(double probability);
double from_fixed_point(std::uint16_t value);

// `values`: row-major [rows, classes], in 65535ths.
PackedProbabilities pack_probabilities(std::span<const std::uint16_t> values, std::int64_t classes);

// Throws std::runtime_error for what pack_probabilities cannot have made.
std::vector<std::uint16_t> unpack_probabilities(const PackedProbabilities& packed);

}  // namespace orchestrate
