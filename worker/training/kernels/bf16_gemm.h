// Matrix products whose operands are rounded to bf16 while they are packed, summed in fp32 by the dot-product
// instruction of AVX512_BF16: twice as many terms an instruction as fp32. Free of torch.
#pragma once

#include "worker/training/kernels/kernels.h"

namespace orchestrate {

// Bytes of a packed right side, and of the scratch memory of one call of `multiply`.
std::int64_t reduced_right_bytes(const MatrixProduct& product);
std::int64_t reduced_scratch_bytes(const MatrixProduct& product);

struct Bf16Gemm {
    // As the members of Kernels with these names; memory is aligned to 4 bytes at least.
    void (*pack_right)(RowRange columns, const MatrixProduct& product, void* packed);
    void (*multiply)(RowRange rows, const MatrixProduct& product, const void* packed, void* scratch);
};

// Those of this machine; null: it has no such instruction.
const Bf16Gemm* bf16_gemm();

namespace avx512bf16 {
const Bf16Gemm& products();
}

}  // namespace orchestrate
