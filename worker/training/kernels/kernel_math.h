// What the kernels of one instruction set share: the exponential function and the normal distribution.
// Included only by sources that are compiled once per instruction set, with ORCHESTRATE_KERNEL_SET naming it; they use
// no inline function of the standard library, since the linker might keep that copy, compiled for the widest set, for
// code that runs everywhere.
#pragma once

#include <math.h>
#include <string.h>

#include "worker/training/kernels/kernels.h"

#ifndef ORCHESTRATE_KERNEL_SET
#error "compile with -DORCHESTRATE_KERNEL_SET=generic, avx2 or avx512"
#endif

// Everything is local to the source that includes it.
namespace orchestrate::ORCHESTRATE_KERNEL_SET {
namespace {

using Index = std::int64_t;

inline constexpr Index rounded_up(Index value, Index multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

// exp(x) to 2 units in the last place for x <= 88; 0 below -87.
inline float exponential(float x) {
    constexpr float kLog2E = 1.44269504088896341F;
    constexpr float kLn2High = 0.693359375F;
    constexpr float kLn2Low = -2.12194440e-4F;
    constexpr float kRoundToInteger = 12582912.0F;  // 1.5 * 2^23
    const float clamped = x < -87.0F ? -87.0F : (x > 88.0F ? 88.0F : x);
    const float shifted = clamped * kLog2E + kRoundToInteger;
    std::int32_t exponent_bits;
    memcpy(&exponent_bits, &shifted, sizeof exponent_bits);
    const auto exponent = static_cast<float>(exponent_bits - 0x4B400000);
    const float r = (clamped - exponent * kLn2High) - exponent * kLn2Low;
    // Taylor series on |r| <= ln(2) / 2.
    float p = 1.0F / 5040.0F;
    p = p * r + 1.0F / 720.0F;
    p = p * r + 1.0F / 120.0F;
    p = p * r + 1.0F / 24.0F;
    p = p * r + 1.0F / 6.0F;
    p = p * r + 0.5F;
    p = p * r + 1.0F;
    p = p * r + 1.0F;
    const std::int32_t scale_bits = (exponent_bits - 0x4B400000 + 127) << 23;
    float scale;
    memcpy(&scale, &scale_bits, sizeof scale);
    const float result = p * scale;
    return x < -87.0F ? 0.0F : result;
}

// Standard normal distribution: its density and its integral up to x, by Abramowitz and Stegun 7.1.26
// (absolute error below 1e-7).
inline void normal_distribution(float x, float& density, float& integral) {
    const float magnitude = (x < 0.0F ? -x : x) * 0.70710678118654752F;
    const float bell = exponential(-magnitude * magnitude);
    const float t = 1.0F / (1.0F + 0.3275911F * magnitude);
    float p = 1.061405429F;
    p = p * t - 1.453152027F;
    p = p * t + 1.421413741F;
    p = p * t - 0.284496736F;
    p = p * t + 0.254829592F;
    const float tail = 0.5F * p * t * bell;
    integral = x < 0.0F ? tail : 1.0F - tail;
    density = 0.39894228040143268F * bell;
}

}  // namespace
}  // namespace orchestrate::ORCHESTRATE_KERNEL_SET
