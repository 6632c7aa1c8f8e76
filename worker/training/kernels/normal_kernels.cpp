// Box and Muller's method over Philox, in double precision. Compiled without anything that lets a compiler change
// the order or the rounding of operations: every instruction set gives the same bits.
#include "worker/training/kernels/normal_kernels.h"

#include "worker/training/kernels/kernel_random.h"

namespace orchestrate::ORCHESTRATE_KERNEL_SET {

namespace {

constexpr Index kLanes = 8;

// Two random words for each of the pairs [pair, pair + 8); `pair` is a multiple of 8.
inline void random_words(std::uint64_t key, std::uint64_t pair, std::uint32_t* first, std::uint32_t* second) {
    LaneWords c0 = lane_counter(static_cast<std::uint32_t>(pair));
    LaneWords c1 = broadcast(static_cast<std::uint32_t>(pair >> 32));
    LaneWords c2 = broadcast(0);
    LaneWords c3 = broadcast(0);
    philox(c0, c1, c2, c3, static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32));
    memcpy(first, &c0, sizeof c0);
    memcpy(second, &c1, sizeof c1);
}

// Natural logarithm of a number in (0, 1], to 1e-10: x = 2^e m with m around 1, log m = 2 artanh((m - 1) / (m + 1)).
inline double logarithm(double x) {
    std::uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    auto exponent = static_cast<std::int32_t>(bits >> 52) - 1023;
    bits = (bits & 0x000FFFFFFFFFFFFFULL) | 0x3FF0000000000000ULL;
    double m;
    memcpy(&m, &bits, sizeof m);
    const bool upper = m > 1.4142135623730951;
    m = upper ? 0.5 * m : m;
    exponent += upper ? 1 : 0;
    const double s = (m - 1.0) / (m + 1.0);
    const double square = s * s;
    double p = 1.0 / 11.0;
    p = p * square + 1.0 / 9.0;
    p = p * square + 1.0 / 7.0;
    p = p * square + 1.0 / 5.0;
    p = p * square + 1.0 / 3.0;
    p = p * square + 1.0;
    return static_cast<double>(exponent) * 0.6931471805599453 + 2.0 * s * p;
}

// Cosine and sine of turn / 2^32 of a full turn, to 1e-10.
inline void cosine_and_sine(std::uint32_t turn, double& cosine, double& sine) {
    const std::uint32_t quarter = (turn + 0x20000000U) >> 30;
    const double x = static_cast<double>(static_cast<std::int32_t>(turn - (quarter << 30))) *
                     1.4629180792671596e-9;  // 2 pi / 2^32
    const double square = x * x;
    double s = -1.0 / 39916800.0;
    s = s * square + 1.0 / 362880.0;
    s = s * square - 1.0 / 5040.0;
    s = s * square + 1.0 / 120.0;
    s = s * square - 1.0 / 6.0;
    s = (s * square + 1.0) * x;
    double c = 1.0 / 479001600.0;
    c = c * square - 1.0 / 3628800.0;
    c = c * square + 1.0 / 40320.0;
    c = c * square - 1.0 / 720.0;
    c = c * square + 1.0 / 24.0;
    c = c * square - 0.5;
    c = c * square + 1.0;
    const bool swapped = (quarter & 1U) != 0;
    const double a = swapped ? s : c;
    const double b = swapped ? c : s;
    cosine = ((quarter + 1U) & 2U) != 0 ? -a : a;
    sine = (quarter & 2U) != 0 ? -b : b;
}

}  // namespace

void normal(std::uint64_t key, std::int64_t first, std::int64_t count, double deviation, float* out) {
    const Index end = first + count;
    for (Index begin = first - first % (2 * kLanes); begin < end; begin += 2 * kLanes) {
        std::uint32_t uniform[kLanes];
        std::uint32_t turn[kLanes];
        random_words(key, static_cast<std::uint64_t>(begin) / 2, uniform, turn);
        float values[2 * kLanes];
        for (Index lane = 0; lane < kLanes; ++lane) {
            const double x = (static_cast<double>(uniform[lane]) + 0.5) * (1.0 / 4294967296.0);
            const double radius = deviation * __builtin_sqrt(-2.0 * logarithm(x));
            double cosine;
            double sine;
            cosine_and_sine(turn[lane], cosine, sine);
            values[2 * lane] = static_cast<float>(radius * cosine);
            values[2 * lane + 1] = static_cast<float>(radius * sine);
        }
        const Index from = begin < first ? first : begin;
        const Index to = begin + 2 * kLanes < end ? begin + 2 * kLanes : end;
        memcpy(out + (from - first), values + (from - begin),
               static_cast<unsigned long>(to - from) * sizeof(float));
    }
}

}  // namespace orchestrate::ORCHESTRATE_KERNEL_SET
