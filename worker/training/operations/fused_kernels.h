// DeviceKernels by the kernels of fused_kernels.cu, whoever launches them: a GPU, or a test's threads.
#pragma once

#include <cstdint>
#include <memory>

#include "worker/training/operations/device_kernels.h"

namespace orchestrate {

// What the kernels are compiled for.
struct KernelVariant {
    bool bf16 = false;
    std::int64_t columns = 64;                               // of a normed row
    auto operator<=>(const KernelVariant&) const = default;  // NOLINT(modernize-use-nullptr)
};

struct LaunchShape {
    std::int64_t blocks = 1;
    std::int64_t blocks_y = 1;
    std::int64_t threads = 1;  // of a block
};

class KernelLauncher {
  public:
    virtual ~KernelLauncher() = default;

    // `arguments`: the address of each. Done in the order of the launches, on the device's current stream.
    virtual void launch(const KernelVariant& variant, const char* kernel, const LaunchShape& shape,
                        void** arguments) = 0;

    // Warps that the device runs at the same time, more or less.
    virtual std::int64_t warps() const = 0;
};

// plain_kernels() with those functions in their places that fused_kernels.cu has; shapes that they cannot do are still
// done the plain way.
DeviceKernels fused_kernels(std::shared_ptr<KernelLauncher> launcher);

}  // namespace orchestrate
