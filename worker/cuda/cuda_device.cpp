// The GPU of this rank and a Reducer over NCCL. Opened by the training part after LibTorch's CUDA library.
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

#include <ATen/ATen.h>
#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <unistd.h>

#include "worker/training/c10d_reducer.h"
#include "worker/training/device.h"

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

std::string host_name() {
    char name[256] = {};
    if (gethostname(name, sizeof name - 1) != 0) {
        throw std::runtime_error("this host has no name");
    }
    return name;
}

// Where rank 0 listens, sent to all: NCCL's ranks find each other through this store.
c10::intrusive_ptr<c10d::Store> make_store(Collective& collective, milliseconds deadline) {
    c10d::TCPStoreOptions options;
    options.timeout = deadline;
    options.numWorkers = static_cast<std::size_t>(collective.size());
    options.waitWorkers = false;
    std::vector<std::byte> address;
    c10::intrusive_ptr<c10d::TCPStore> store;
    if (collective.rank() == 0) {
        options.isServer = true;
        options.port = 0;
        store = c10::make_intrusive<c10d::TCPStore>(host_name(), options);
        const std::string text = host_name() + " " + std::to_string(store->getPort());
        address.resize(text.size());
        std::memcpy(address.data(), text.data(), text.size());
    }
    collective.broadcast(address, deadline);
    if (collective.rank() != 0) {
        const std::string text(reinterpret_cast<const char*>(address.data()), address.size());
        const auto space = text.find(' ');
        options.port = static_cast<std::uint16_t>(std::stoi(text.substr(space + 1)));
        store = c10::make_intrusive<c10d::TCPStore>(text.substr(0, space), options);
    }
    return store;
}

std::unique_ptr<Reducer> make_nccl_reducer(Collective& collective, milliseconds deadline) {
    auto options = c10d::ProcessGroupNCCL::Options::create();
    options->timeout = deadline;
    return make_c10d_reducer(
        c10::make_intrusive<c10d::ProcessGroupNCCL>(make_store(collective, deadline), collective.rank(),
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
