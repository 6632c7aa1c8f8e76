#include "worker/data/scaler.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace orchestrate {
namespace {

// Neumaier's sum: the error of each addition is kept and added at the end.
class CompensatedSum {
  public:
    void add(double value) {
        const double next = sum_ + value;
        error_ += std::abs(sum_) >= std::abs(value) ? (sum_ - next) + value : (value - next) + sum_;
        sum_ = next;
    }
    double value() const { return sum_ + error_; }

  private:
    double sum_ = 0;
    double error_ = 0;
};

}  // namespace

Standardization Standardization::fit(std::span<const double> values) {
    const auto count = static_cast<double>(values.size());
    CompensatedSum sum;
    for (const double value : values) {
        sum.add(value);
    }
    const double mean = sum.value() / count;
    CompensatedSum squares;
    CompensatedSum residue;  // of the rounded mean
    for (const double value : values) {
        squares.add((value - mean) * (value - mean));
        residue.add(value - mean);
    }
    const double variance = (squares.value() - residue.value() * residue.value() / count) / count;
    constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
    const double rounding = count * mean * kEpsilon;
    const bool is_constant = variance <= count * kEpsilon * variance + rounding * rounding;
    return {mean, is_constant ? 1.0 : std::sqrt(variance)};
}

QuantileBins QuantileBins::fit(std::span<const double> values, std::size_t bins) {
    std::vector<double> sorted(values.begin(), values.end());
    std::sort(sorted.begin(), sorted.end());
    QuantileBins result;
    for (std::size_t k = 1; k < bins; ++k) {
        const std::size_t scaled = k * (sorted.size() - 1);  // position times bins
        const std::size_t below = scaled / bins;
        const std::size_t rest = scaled % bins;
        const double low = sorted[below];
        const double high = sorted[std::min(below + 1, sorted.size() - 1)];
        const double share = static_cast<double>(rest) / static_cast<double>(bins);
        result.cuts_.push_back(rest == 0 || low == high ? low : low + share * (high - low));
    }
    return result;
}

std::size_t QuantileBins::bin_of(double value) const {
    return static_cast<std::size_t>(std::lower_bound(cuts_.begin(), cuts_.end(), value) - cuts_.begin());
}

}  // namespace orchestrate
