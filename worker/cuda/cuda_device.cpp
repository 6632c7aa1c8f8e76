// The GPU of this rank and a Reducer over NCCL. Opened by the training part after LibTorch's CUDA library.
#include <cstdlib>
#include <stdexcept>
#include <string>

#include <ATen/ATen.h>
#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

#include "worker/training/c10d_reducer.h"
#include "worker/training/device.h"
#include "worker/training/rank_store.h"

namespace orchestrate {

namespace {

using std::chrono::milliseconds;

// The number of this rank on its host, as its launcher tells it; 0 without a launcher.
int local_rank() {
    for (const char* const name :
         {"OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "PMI_LOCAL_RANK", "SLURM_LOCALID"}) {
        if (const char* const value = std::getenv(name)) {
            return std::atoi(value);
        }
    }
    return 0;
}

std::unique_ptr<Reducer> make_nccl_reducer(Collective& collective, milliseconds deadline) {
    auto options = c10d::ProcessGroupNCCL::Options::create();
    options->timeout = deadline;
    return make_c10d_reducer(
        c10::make_intrusive<c10d::ProcessGroupNCCL>(make_rank_store(collective, deadline), collective.rank(),
                                                    collective.size(), options),
        deadline);
}

void open_device(TrainingDevice& device) {
    // Without it cuBLAS may add in another order from run to run; LibTorch asks for it in deterministic mode. Read
    // when cuBLAS is first used.
    setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
    const int count = c10::cuda::device_count();
    if (count == 0) {
        throw std::runtime_error("no GPU can be used: LibTorch finds none (is the NVIDIA driver there?)");
    }
    const auto index = static_cast<c10::DeviceIndex>(local_rank() % count);
    c10::cuda::set_device(index);
    device.device = c10::Device(c10::kCUDA, index);
    device.device_class = std::string("cuda ") + at::cuda::getDeviceProperties(index)->name;
    device.computes_bf16 = at::cuda::getDeviceProperties(index)->major >= 8;
    device.make_reducer = make_nccl_reducer;
    device.reset_peak_memory = [index] { c10::cuda::CUDACachingAllocator::resetPeakStats(index); };
    device.peak_memory_bytes = [index]() -> std::int64_t {
        return c10::cuda::CUDACachingAllocator::getDeviceStats(index).reserved_bytes[0].peak;
    };
    device.release_memory = [] { c10::cuda::CUDACachingAllocator::emptyCache(); };
}

}  // namespace

}  // namespace orchestrate

extern "C" void orchestrate_open_cuda_device(orchestrate::TrainingDevice& device) {
    orchestrate::open_device(device);
}
