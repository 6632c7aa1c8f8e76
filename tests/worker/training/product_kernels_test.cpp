// Products of every instruction set that this machine runs, against sums in double precision; those with bf16 operands
// against sums of rounded operands.
#include <bit>
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "worker/training/kernels/bf16_gemm.h"
#include "worker/training/kernels/kernels.h"

namespace orchestrate::test {
namespace {

std::vector<float> random_values(std::int64_t count, std::uint64_t seed) {
    std::vector<float> values(static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] = static_cast<float>(mix(seed, i) % 2001) / 1000.0F - 1.0F;
    }
    return values;
}

// One product whose sides lie in wider matrices.
struct Case {
    std::int64_t rows, columns, depth;
    bool left_transposed, right_transposed, accumulate;
    bool bias = false;
};

class Problem {
  public:
    explicit Problem(const Case& shape) : shape_(shape) {
        const std::int64_t left_stride = (shape.left_transposed ? shape.rows : shape.depth) + 3;
        const std::int64_t right_stride = (shape.right_transposed ? shape.depth : shape.columns) + 5;
        left_ = random_values(left_stride * (shape.left_transposed ? shape.depth : shape.rows), 1);
        right_ = random_values(right_stride * (shape.right_transposed ? shape.columns : shape.depth), 2);
        before_ = random_values(shape.rows * result_stride(), 3);
        bias_ = random_values(shape.columns, 4);
        product_ = {.rows = shape.rows,
                    .columns = shape.columns,
                    .depth = shape.depth,
                    .left = left_.data(),
                    .left_stride = left_stride,
                    .left_transposed = shape.left_transposed,
                    .right = right_.data(),
                    .right_stride = right_stride,
                    .right_transposed = shape.right_transposed,
                    .result_stride = result_stride(),
                    .accumulate = shape.accumulate,
                    .bias = shape.bias ? bias_.data() : nullptr};
    }

    // The result of cutting the rows at `cuts` and the columns of the right side at a multiple of kProductColumns.
    std::vector<float> solve(const Kernels& kernels, const std::vector<std::int64_t>& cuts = {}) {
        return solve_with(kernels, packed_right_floats(product_), product_scratch_floats(product_), cuts);
    }
    std::vector<float> solve(const Bf16Gemm& products, const std::vector<std::int64_t>& cuts = {}) {
        return solve_with(products, reduced_right_bytes(product_) / 4, reduced_scratch_bytes(product_) / 4,
                          cuts);
    }

    void round_operands_to_bf16() {
        for (auto* const values : {&left_, &right_}) {
            for (float& value : *values) {
                auto bits = std::bit_cast<std::uint32_t>(value);
                bits += 0x7FFFU + (bits >> 16 & 1U);  // to nearest, ties to even
                value = std::bit_cast<float>(bits & 0xFFFF0000U);
            }
        }
    }

    // Largest error of a result; what lies between its rows must be as before.
    double error(const std::vector<float>& result) const {
        double largest = 0;
        for (std::int64_t row = 0; row < shape_.rows; ++row) {
            for (std::int64_t column = 0; column < result_stride(); ++column) {
                const auto at = static_cast<std::size_t>(row * result_stride() + column);
                const bool inside = column < shape_.columns;
                double expected = inside && !shape_.accumulate ? 0.0 : before_[at];
                expected += inside && shape_.bias ? bias_[static_cast<std::size_t>(column)] : 0.0;
                for (std::int64_t k = 0; inside && k < shape_.depth; ++k) {
                    expected += static_cast<double>(left(row, k)) * right(k, column);
                }
                largest = std::max(largest, std::abs(result[at] - expected));
            }
        }
        return largest;
    }

  private:
    template <class Kernel>
    std::vector<float> solve_with(const Kernel& kernel, std::int64_t packed_floats,
                                  std::int64_t scratch_floats, const std::vector<std::int64_t>& cuts) {
        std::vector<float> result = before_;
        product_.result = result.data();
        std::vector<float> packed(static_cast<std::size_t>(packed_floats));
        const std::int64_t middle = shape_.columns / 2 / kProductColumns * kProductColumns;
        kernel.pack_right({0, middle}, product_, packed.data());
        kernel.pack_right({middle, shape_.columns}, product_, packed.data());
        std::vector<float> scratch(static_cast<std::size_t>(scratch_floats));
        std::int64_t begin = 0;
        for (const std::int64_t end : cuts) {
            kernel.multiply({begin, end}, product_, packed.data(), scratch.data());
            begin = end;
        }
        kernel.multiply({begin, shape_.rows}, product_, packed.data(), scratch.data());
        return result;
    }

    std::int64_t result_stride() const { return shape_.columns + 7; }
    float left(std::int64_t row, std::int64_t k) const {
        const std::int64_t stride = product_.left_stride;
        return left_[static_cast<std::size_t>(shape_.left_transposed ? k * stride + row : row * stride + k)];
    }
    float right(std::int64_t k, std::int64_t column) const {
        const std::int64_t stride = product_.right_stride;
        return right_[static_cast<std::size_t>(shape_.right_transposed ? column * stride + k
                                                                       : k * stride + column)];
    }

    Case shape_;
    std::vector<float> left_, right_, before_, bias_;
    MatrixProduct product_;
};

const std::vector<Case> kCases = {
    {1, 1, 1, false, false, false},         {16, 64, 48, false, true, false},
    {37, 70, 300, false, true, false},      {500, 33, 64, false, false, true},
    {64, 96, 517, true, false, true},       {31, 40, 9, true, true, false},
    {29, 96, 40, false, true, false, true}, {13, 45, 700, false, true, false, true},
};

TEST(ProductKernelsTest, EveryInstructionSetMultiplies) {
    for (const Kernels* const kernels : runnable_kernels()) {
        for (const Case& shape : kCases) {
            Problem problem(shape);
            EXPECT_LT(problem.error(problem.solve(*kernels)), 1e-4)
                << kernels->instruction_set << ' ' << shape.rows << 'x' << shape.columns << 'x'
                << shape.depth;
        }
    }
}

TEST(ProductKernelsTest, HowRowsAreSharedOutChangesNoBit) {
    for (const Case& shape : kCases) {
        Problem problem(shape);
        EXPECT_EQ(problem.solve(best_kernels()),
                  problem.solve(best_kernels(), {shape.rows / 3, shape.rows / 2}));
    }
}

TEST(Bf16GemmTest, AreSumsOfOperandsRoundedToBf16) {
    const Bf16Gemm* const products = bf16_gemm();
    if (products == nullptr) {
        GTEST_SKIP() << "skipped: this CPU has no AVX512_BF16";
    }
    for (const Case& shape : kCases) {
        Problem problem(shape);
        const auto result = problem.solve(*products);
        EXPECT_EQ(result, problem.solve(*products, {shape.rows / 3, shape.rows / 2}));
        if (shape.depth > 1) {
            EXPECT_GT(problem.error(result), 1e-4) << "operands were not rounded";
        }
        problem.round_operands_to_bf16();
        EXPECT_LT(problem.error(result), 1e-4) << shape.rows << 'x' << shape.columns << 'x' << shape.depth;
    }
}

}  // namespace
}  // namespace orchestrate::test
