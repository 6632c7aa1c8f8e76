// What precision suits a CPU, by what /proc/cpuinfo says of it.
#include "coordinator/sites/local_devices.h"

#include <sstream>

#include <gtest/gtest.h>

namespace orchestrate {
namespace {

Precision precision_of(const std::string& vendor, const std::string& flags) {
    std::istringstream cpuinfo("processor\t: 0\nvendor_id\t: " + vendor +
                               "\nmodel name\t: some CPU\nflags\t\t: " + flags +
                               "\nbugs\t\t: none\n\nprocessor\t: 1\n");
    return precision_of_cpu(cpuinfo);
}

TEST(LocalDevices, Bf16SuitsACpuThatWasMeasuredToBeQuickerWithIt) {
    EXPECT_EQ(precision_of("AuthenticAMD", "fpu avx2 avx512f avx512_bf16 clzero"), Precision::bf16);
    EXPECT_EQ(precision_of("AuthenticAMD", "fpu avx2 avx512f avx512_bf16x"), Precision::fp32);
    EXPECT_EQ(precision_of("GenuineIntel", "fpu avx2 avx512f avx512_bf16 amx_bf16"), Precision::fp32);
    std::istringstream nothing;
    EXPECT_EQ(precision_of_cpu(nothing), Precision::fp32);
}

TEST(LocalDevices, AMachineWithoutAGpuHasNoComputeCapability) {
    if (look_at_devices().has_gpu) {
        GTEST_SKIP() << "skipped: this machine has a GPU";
    }
    EXPECT_EQ(lowest_compute_capability(), 0);
    EXPECT_EQ(look_at_devices().cuda, Precision::fp32);
}

}  // namespace
}  // namespace orchestrate
