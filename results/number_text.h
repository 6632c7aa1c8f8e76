// Numbers of any size for users, so that a table stays readable: scientific from 10 million on, and where all of them are
// below a ten-thousandth. A zero has no sign. CSV and JSON have all digits instead.
#pragma once

#include <string>
#include <vector>

namespace orchestrate {

// One number with four significant digits: "0.9123", "51.2", "12345", "1.235e+12", "1e-09".
std::string short_number(double value);

// With so many decimals; very large and very small ones as short_number() writes them.
std::string fixed_number(double value, int decimals);

// How the numbers of a column are written.
struct NumberFormat {
    int decimals = 3;
    bool scientific = false;  // all of them; else only the very large ones
};

// So many decimals that the median of `values` has four digits: 0.9123, 51.20, 1234. One outlier leaves the others readable.
NumberFormat format_of(const std::vector<double>& values);

// "0.912", "1.000e+12"; with a sign "+0.030".
std::string number_text(double value, const NumberFormat& format, bool with_sign);

}  // namespace orchestrate
