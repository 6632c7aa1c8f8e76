// Includes fused_kernels.cu for the host, in the namespace of whoever includes this with COLUMNS and BF16 defined: a thread
// of a GPU's block is a thread here, and what CUDA gives a kernel stands in thread-local variables.
#if !defined(COLUMNS) || !defined(BF16)
#error "COLUMNS and BF16 say what the kernels are compiled for"
#endif

#include "worker/training/operations/fused_kernels.cu"

#undef UNROLLED
#undef LANES
#undef CHUNK
#undef WARP
#undef PASSES
#undef HELD
#undef DROPOUT_PARAMETERS
#undef COLUMNS
#undef BF16
