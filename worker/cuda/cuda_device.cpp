// The GPU of this rank, what it does best, and a Reducer over NCCL. Opened by the training part after LibTorch's CUDA library.
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>

#include <ATen/ATen.h>
#include <ATen/cuda/CUDAContext.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

#include "worker/cuda/gpu_kernels.h"
#include "worker/cuda/recorded_graph.h"
#include "worker/training/runtime/c10d_reducer.h"
#include "worker/training/runtime/device.h"
#include "worker/training/runtime/rank_store.h"

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

// One training's.
struct GraphMemory {
    c10::MempoolId_t pool{0, 0};
};

std::string describe_memory(c10::DeviceIndex index) {
    constexpr std::int64_t kMib = 1 << 20;
    const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(index);
    return "GPU memory: at most " + std::to_string(stats.allocated_bytes[0].peak / kMib) + " MiB in use, " +
           std::to_string(stats.reserved_bytes[0].peak / kMib) + " MiB reserved";
}

bool wants_graphs() {
    const char* const value = std::getenv("ORCHESTRATE_CUDA_GRAPHS");
    return value == nullptr || std::string(value) != "0";
}

// Work of a training goes to one stream of its own: what is recorded must not be on the default one.
void work_on_own_stream(TrainingDevice& device, c10::DeviceIndex index) {
    const auto graphs = std::make_shared<GraphMemory>();
    const at::cuda::CUDAStream stream = at::cuda::getStreamFromPool(/*isHighPriority=*/false, index);
    device.begin_training = [graphs, stream, index] {
        c10::cuda::set_device(index);
        c10::cuda::device_synchronize();  // what was done on another stream, for a training before
        at::cuda::setCurrentCUDAStream(stream);
        graphs->pool = at::cuda::graph_pool_handle();  // one is not used again once its graphs are gone
    };
    if (wants_graphs()) {
        device.make_captured_graph = [graphs] { return make_recorded_graph(graphs->pool); };
    }
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
    device.describe_memory = [index] { return describe_memory(index); };
    device.release_memory = [] { c10::cuda::CUDACachingAllocator::emptyCache(); };
    at::globalContext().setAllowBF16ReductionCuBLAS(false);  // sums are fp32
    work_on_own_stream(device, index);
    device.kernels = gpu_kernels(device.device, device.notes);
    c10::cuda::device_synchronize();
}

}  // namespace

}  // namespace orchestrate

extern "C" void orchestrate_open_cuda_device(orchestrate::TrainingDevice& device) {
    orchestrate::open_device(device);
}
