#include "common/metrics/packed_probabilities.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include <zlib.h>

namespace orchestrate {
namespace {

constexpr double kOne = 65535;

}  // namespace

std::uint16_t fixed_point(double probability) {
    return static_cast<std::uint16_t>(std::lround(std::clamp(probability, 0.0, 1.0) * kOne));
}

double from_fixed_point(std::uint16_t value) {
    return value / kOne;
}

PackedProbabilities pack_probabilities(std::span<const std::uint16_t> values, std::int64_t classes) {
    PackedProbabilities packed;
    packed.classes = classes;
    packed.rows = classes > 0 ? static_cast<std::int64_t>(values.size()) / classes : 0;
    std::vector<std::uint8_t> planes(2 * values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
        planes[i] = static_cast<std::uint8_t>(values[i] >> 8);
        planes[values.size() + i] = static_cast<std::uint8_t>(values[i] & 0xFF);
    }
    uLongf size = compressBound(planes.size());
    packed.data.values.resize(size);
    if (compress2(packed.data.values.data(), &size, planes.data(), planes.size(), 6) != Z_OK) {
        throw std::runtime_error("zlib cannot compress probabilities");
    }
    packed.data.values.resize(size);
    return packed;
}

std::vector<std::uint16_t> unpack_probabilities(const PackedProbabilities& packed) {
    constexpr std::int64_t kMaxValues = std::int64_t{1} << 31;
    if (packed.rows < 0 || packed.classes < 0 ||
        (packed.classes > 0 && packed.rows > kMaxValues / packed.classes)) {
        throw std::runtime_error("stored probabilities have an impossible size");
    }
    const auto count = static_cast<std::size_t>(packed.rows * packed.classes);
    std::vector<std::uint8_t> planes(2 * count);
    uLongf size = planes.size();
    const int status = uncompress(planes.data(), &size, packed.data.values.data(), packed.data.values.size());
    if (count > 0 && (status != Z_OK || size != planes.size())) {
        throw std::runtime_error("stored probabilities are damaged");
    }
    std::vector<std::uint16_t> values(count);
    for (std::size_t i = 0; i < count; ++i) {
        values[i] = static_cast<std::uint16_t>(planes[i] << 8 | planes[count + i]);
    }
    return values;
}

}  // namespace orchestrate
