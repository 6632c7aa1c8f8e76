// The device of one rank and what it needs: built by the engine for the CPU, by the CUDA part for a GPU.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include "worker/collective.h"
#include "worker/training/operations/device_kernels.h"
#include "worker/training/runtime/captured_graph.h"
#include "worker/training/runtime/reducer.h"

namespace orchestrate {

struct TrainingDevice {
    c10::Device device = c10::Device(c10::kCPU);
    std::string device_class;    // "cpu avx2", "cuda NVIDIA H100"
    bool computes_bf16 = false;  // at least as quickly as fp32
    // Sums gradients over the ranks of a worker of more than one; the Collective must outlive it.
    std::function<std::unique_ptr<Reducer>(Collective&, std::chrono::milliseconds deadline)> make_reducer;
    // Highest memory use since the last reset, in bytes.
    std::function<void()> reset_peak_memory;
    std::function<std::int64_t()> peak_memory_bytes;
    // Gives memory that is kept for reuse back to the system.
    std::function<void()> release_memory;

    // Called in the thread that trains, before each training; may be empty.
    std::function<void()> begin_training;
    // For the attempt's log, after a training: what was used of its memory; may be empty.
    std::function<std::string()> describe_memory;
    CapturedGraphs::Make make_captured_graph;  // empty: the device records nothing
    DeviceKernels kernels = plain_kernels();
    std::vector<std::string> notes;  // about this device, for each attempt's log
};

// This machine's CPU.
TrainingDevice cpu_device();

// The C symbol that the CUDA shared object exports: fills in the device of this rank (by its number on its
// host). Throws std::runtime_error if no GPU can be used. LibTorch's CUDA library must be open.
inline constexpr const char* kOpenCudaDeviceSymbol = "orchestrate_open_cuda_device";
using OpenCudaDevice = void (*)(TrainingDevice& device);

}  // namespace orchestrate
