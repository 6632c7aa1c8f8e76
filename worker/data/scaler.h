// What is fitted on the training part before numbers become words: mean and standard deviation, and
// quantiles.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace orchestrate {

// One column's standardisation, as scikit-learn's StandardScaler: population standard deviation; 1 if the
// column is constant (its variance is not above what rounding alone makes of that many values of that mean).
struct Standardization {
    double mean = 0;
    double deviation = 1;

    // `values` must not be empty.
    static Standardization fit(std::span<const double> values);
    double operator()(double value) const { return (value - mean) / deviation; }
};

// One column's quantile bins. The k-th of the bins - 1 cuts is the k/bins quantile of the fitted values
// (linear interpolation between order statistics); a value falls behind all cuts that are smaller than it, so
// equal values share a bin, and a value that many rows share falls into the lowest of the bins that it spans.
class QuantileBins {
  public:
    // `values` must not be empty; bins >= 1.
    static QuantileBins fit(std::span<const double> values, std::size_t bins);
    std::size_t bin_of(double value) const;  // 0 .. bins - 1
    const std::vector<double>& cuts() const { return cuts_; }

  private:
    std::vector<double> cuts_;
};

}  // namespace orchestrate
