// The text of the GPU's kernels, compiled for the host and run by a thread per thread of a block: all that a GPU adds is that
// it runs them.
#include "worker/training/operations/fused_kernels.h"

#include <barrier>
#include <bit>
#include <cmath>
#include <memory>
#include <thread>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/worker/training/synthetic_data.h"

namespace orchestrate::test {
namespace {

// --- what CUDA gives a kernel ---

struct Index {
    unsigned x = 0;
    unsigned y = 0;
};

// What the threads of a warp exchange.
struct Warp {
    std::barrier<> barrier{32};
    float values[32] = {};
};

thread_local Index threadIdx;
thread_local Index blockIdx;
thread_local Index blockDim;
thread_local Index gridDim;
thread_local Warp* warp = nullptr;

float __shfl_xor_sync(unsigned, float value, int mask) {
    const unsigned lane = threadIdx.x % 32;
    warp->values[lane] = value;
    warp->barrier.arrive_and_wait();
    const float other = warp->values[lane ^ static_cast<unsigned>(mask)];
    warp->barrier.arrive_and_wait();
    return other;
}

float __uint_as_float(unsigned bits) {
    return std::bit_cast<float>(bits);
}
unsigned __float_as_uint(float value) {
    return std::bit_cast<unsigned>(value);
}

#define __device__
#define KERNEL inline
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wstrict-aliasing"
#pragma GCC diagnostic ignored "-Wuninitialized"  // arrays whose elements are set in the loop that reads them
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wmissing-declarations"
namespace float64 {
#define COLUMNS 64
#define BF16 0
#include "tests/worker/training/kernels_on_threads.h"
}  // namespace float64
namespace bf64 {
#define COLUMNS 64
#define BF16 1
#include "tests/worker/training/kernels_on_threads.h"
}  // namespace bf64
namespace float192 {
#define COLUMNS 192
#define BF16 0
#include "tests/worker/training/kernels_on_threads.h"
}  // namespace float192
namespace bf192 {
#define COLUMNS 192
#define BF16 1
#include "tests/worker/training/kernels_on_threads.h"
}  // namespace bf192
namespace float32 {
#define COLUMNS 32
#define BF16 0
#include "tests/worker/training/kernels_on_threads.h"
}  // namespace float32
#pragma GCC diagnostic pop

// Calls a function with arguments whose addresses are given.
template <class... Parameters, std::size_t... places>
void call(void (*kernel)(Parameters...), void** arguments, std::index_sequence<places...>) {
    kernel(*static_cast<Parameters*>(arguments[places])...);
}
template <class... Parameters>
void call(void (*kernel)(Parameters...), void** arguments) {
    call(kernel, arguments, std::index_sequence_for<Parameters...>());
}

class Threads final : public KernelLauncher {
  public:
    void launch(const KernelVariant& variant, const char* kernel, const LaunchShape& shape,
                void** arguments) override {
        ++launches;
        const std::string name = kernel;
        const auto of = [&]<class Keep, class Norm, class NormBackward, class Gelu, class GeluBackward>(
                            Keep keep, Norm norm, NormBackward norm_backward, Gelu gelu,
                            GeluBackward gelu_backward) {
            if (name == "keep") {
                return run(shape, [=] { call(keep, arguments); });
            }
            if (name == "add_norm") {
                return run(shape, [=] { call(norm, arguments); });
            }
            if (name == "add_norm_backward") {
                return run(shape, [=] { call(norm_backward, arguments); });
            }
            if (name == "bias_gelu") {
                return run(shape, [=] { call(gelu, arguments); });
            }
            if (name == "bias_gelu_backward") {
                return run(shape, [=] { call(gelu_backward, arguments); });
            }
            throw std::logic_error("no kernel " + name);
        };
#define ALL_OF(place) \
    of(place::keep, place::add_norm, place::add_norm_backward, place::bias_gelu, place::bias_gelu_backward)
        if (variant == KernelVariant{false, 64}) {
            ALL_OF(float64);
        } else if (variant == KernelVariant{true, 64}) {
            ALL_OF(bf64);
        } else if (variant == KernelVariant{false, 192}) {
            ALL_OF(float192);
        } else if (variant == KernelVariant{true, 192}) {
            ALL_OF(bf192);
        } else if (variant == KernelVariant{false, 32}) {
            ALL_OF(float32);
        } else {
            throw std::logic_error("not compiled here");
        }
#undef ALL_OF
    }
    std::int64_t warps() const override {
        return 16;
    }

    std::int64_t launches = 0;

  private:
    static void run(const LaunchShape& shape, const std::function<void()>& kernel) {
        for (std::int64_t y = 0; y < shape.blocks_y; ++y) {
            for (std::int64_t x = 0; x < shape.blocks; ++x) {
                std::vector<Warp> warps(static_cast<std::size_t>(shape.threads / 32));
                std::vector<std::thread> threads;
                for (std::int64_t i = 0; i < shape.threads; ++i) {
                    threads.emplace_back([&, i] {
                        threadIdx = {static_cast<unsigned>(i), 0};
                        blockIdx = {static_cast<unsigned>(x), static_cast<unsigned>(y)};
                        blockDim = {static_cast<unsigned>(shape.threads), 1};
                        gridDim = {static_cast<unsigned>(shape.blocks),
                                   static_cast<unsigned>(shape.blocks_y)};
                        warp = &warps[static_cast<std::size_t>(i / 32)];
                        kernel();
                    });
                }
                for (std::thread& thread : threads) {
                    thread.join();
                }
            }
        }
    }
};

TEST(FusedKernelsTest, GiveWhatLibTorchsOperationsGive) {
    const auto threads = std::make_shared<Threads>();
    DeviceKernels fused = fused_kernels(threads);
    EXPECT_THAT(self_check_kernels(fused, at::kCPU), testing::IsEmpty());
    EXPECT_EQ(threads->launches, 14);  // none of them was left to LibTorch
}

// Widths that are no whole number of chunks or of warps.
TEST(FusedKernelsTest, TakeNarrowRows) {
    const auto threads = std::make_shared<Threads>();
    const DeviceKernels fused = fused_kernels(threads);
    const DeviceKernels plain = plain_kernels();
    const at::NoGradGuard no_gradients;
    for (const std::int64_t columns : {32, 33}) {
        const at::Tensor values = at::arange(5 * columns, at::kFloat).mul(0.7).sin().view({5, columns});
        const at::Tensor bias = at::arange(columns, at::kFloat).mul(0.3).cos();
        const auto found = fused.add_norm(values, bias, -values * values, bias, bias, 1e-5, {});
        const auto expected = plain.add_norm(values, bias, -values * values, bias, bias, 1e-5, {});
        EXPECT_TRUE(found.output.allclose(expected.output, 1e-5, 1e-5));
        const auto of_found = fused.add_norm_backward(values, found, bias, {});
        const auto of_expected = plain.add_norm_backward(values, expected, bias, {});
        EXPECT_TRUE(of_found.values.allclose(of_expected.values, 1e-4, 1e-4));
        EXPECT_TRUE(of_found.gain.allclose(of_expected.gain, 1e-4, 1e-4));
        EXPECT_TRUE(fused.bias_gelu(values, bias).allclose(plain.bias_gelu(values, bias), 1e-5, 1e-5));
    }
}

TEST(FusedKernelsTest, RoundToTheNearestAndTiesToEven) {
    const at::Tensor numbers =
        at::tensor({1.0, -1.00390625, 1.01171875, 3.4e38, -0.0, 1e-40, 0.1, -7.77}, at::kFloat);
    for (std::int64_t i = 0; i < numbers.numel(); ++i) {
        const float number = numbers[i].item<float>();
        EXPECT_EQ(
            bf64::narrowed(number),
            static_cast<std::uint16_t>(numbers.to(at::kBFloat16).view(at::kShort)[i].item<std::int16_t>()))
            << number;
    }
    EXPECT_TRUE(std::isnan(bf64::widened(bf64::narrowed(std::nanf("")))));
    EXPECT_TRUE(std::isinf(bf64::widened(bf64::narrowed(INFINITY))));
}

}  // namespace
}  // namespace orchestrate::test
