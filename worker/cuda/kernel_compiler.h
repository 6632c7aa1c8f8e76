// Compiles the text of CUDA kernels for one architecture, by NVRTC, which comes with LibTorch's CUDA part. Needs no GPU.
#pragma once

#include <string>
#include <vector>

namespace orchestrate {

// Device code of `source`. `architecture`: "sm_90". Throws std::runtime_error with the compiler's words, or if there is no
// NVRTC.
std::string compile_kernels(const std::string& source, const std::string& architecture,
                            const std::vector<std::string>& definitions);

}  // namespace orchestrate
