// NVRTC takes the kernels for every architecture that bf16 is trained on, and says what is wrong with others.
#include "worker/cuda/kernel_compiler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fused_kernels_source.h"

namespace orchestrate::test {
namespace {

TEST(KernelCompilerTest, CompilesTheKernelsForEveryArchitecture) {
    for (const char* const architecture : {"sm_80", "sm_90"}) {
        for (const char* const columns : {"COLUMNS=64", "COLUMNS=1024"}) {
            for (const char* const type : {"BF16=0", "BF16=1"}) {
                const std::string code = compile_kernels(kFusedKernelsSource, architecture, {columns, type});
                for (const char* const kernel :
                     {"keep", "add_norm", "add_norm_backward", "bias_gelu", "bias_gelu_backward"}) {
                    EXPECT_THAT(code, testing::HasSubstr(std::string(".text.") + kernel + '\0'));
                }
            }
        }
    }
}

TEST(KernelCompilerTest, SaysWhatIsWrong) {
    try {
        compile_kernels("__global__ void f() { nonsense; }", "sm_90", {});
        FAIL() << "compiled";
    } catch (const std::runtime_error& error) {
        EXPECT_THAT(error.what(), testing::HasSubstr("\"nonsense\" is undefined"));
    }
}

}  // namespace
}  // namespace orchestrate::test
