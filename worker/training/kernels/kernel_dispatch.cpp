#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.h"
#include "worker/training/kernels/bf16_gemm.h"
#include "worker/training/kernels/kernels.h"

namespace orchestrate {

namespace {

constexpr std::int64_t rounded_up(std::int64_t value, std::int64_t multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

// The widest, or those that the user names.
const Kernels& chosen_kernels() {
    const char* const name = std::getenv("ORCHESTRATE_INSTRUCTION_SET");
    if (name == nullptr || *name == '\0') {
        return *runnable_kernels().front();
    }
    std::string names;
    for (const Kernels* const kernels : runnable_kernels()) {
        if (kernels->instruction_set == std::string_view(name)) {
            return *kernels;
        }
        names += names.empty() ? "" : ", ";
        names += kernels->instruction_set;
    }
    throw UserError("ORCHESTRATE_INSTRUCTION_SET is '" + std::string(name) + "', but this machine runs " +
                    names);
}

}  // namespace

std::int64_t attention_weight_floats(std::int64_t rows, std::int64_t heads, bool first_query_only) {
    return heads * (first_query_only ? 1 : rows) * rounded_up(rows, 16);
}

std::int64_t attention_scratch_floats(const AttentionShape& shape) {
    const std::int64_t wide = rounded_up(shape.longest, 16);
    const std::int64_t deep = rounded_up(shape.head_size, 16);
    return 6 * wide * deep + 2 * wide * wide + rounded_up(wide, 64);
}

std::int64_t random_scratch_floats(std::int64_t columns) {
    return kRowsAtOnce * rounded_up(columns, 64);
}

std::int64_t packed_right_floats(const MatrixProduct& product) {
    return rounded_up(product.columns, kProductColumns) * product.depth;
}

std::int64_t product_scratch_floats(const MatrixProduct& product) {
    return product.left_transposed ? kProductRows * kProductDepth : 0;
}

std::int64_t reduced_right_bytes(const MatrixProduct& product) {
    return rounded_up(product.columns, kProductColumns) * rounded_up(product.depth, 2) * 2;
}

std::int64_t reduced_scratch_bytes(const MatrixProduct&) {
    return kProductRows * 2 * kProductDepth * 2;
}

const Bf16Gemm* bf16_gemm() {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512bf16") &&
        best_kernels().instruction_set == std::string_view("avx512")) {
        return &avx512bf16::products();
    }
#endif
    return nullptr;
}

std::span<const Kernels* const> runnable_kernels() {
    static const std::vector<const Kernels*> runnable = [] {
        std::vector<const Kernels*> found;
#if defined(__x86_64__)
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
            found.push_back(&avx512::kernels());
        }
        if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
            found.push_back(&avx2::kernels());
        }
#endif
        found.push_back(&generic::kernels());
        return found;
    }();
    return runnable;
}

const Kernels& best_kernels() {
    static const Kernels& best = chosen_kernels();
    return best;
}

}  // namespace orchestrate
