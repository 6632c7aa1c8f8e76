#include <fstream>
#include <string>

#include <ATen/ATen.h>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include "worker/training/kernels/kernels.h"
#include "worker/training/operations/matrix_product.h"
#include "worker/training/runtime/device.h"
#include "worker/training/runtime/reducer.h"

namespace orchestrate {

namespace {

// "VmHWM:   123 kB" of /proc/self/status.
std::int64_t resident_peak_bytes() {
    std::ifstream status("/proc/self/status");
    std::string word;
    while (status >> word) {
        if (word == "VmHWM:") {
            std::int64_t kilobytes = 0;
            status >> kilobytes;
            return kilobytes * 1024;
        }
    }
    return 0;
}

std::string cpu_class() {
    std::string name = std::string("cpu ") + best_kernels().instruction_set;
#if defined(__x86_64__)
    // AMX changes what bf16 costs, and so which machines compare.
    std::ifstream cpuinfo("/proc/cpuinfo");
    std::string word;
    while (cpuinfo >> word) {
        if (word == "amx_bf16") {
            return name + " amx";
        }
        if (word == "bugs") {
            break;
        }
    }
#endif
    return name;
}

}  // namespace

TrainingDevice cpu_device() {
    TrainingDevice device;
    device.device_class = cpu_class();
    device.computes_bf16 = multiplies_bf16();
    device.make_reducer = make_collective_reducer;
    // "5" sets the high-water mark back to what is resident now (see proc(5)).
    device.reset_peak_memory = [] { std::ofstream("/proc/self/clear_refs") << "5"; };
    device.peak_memory_bytes = resident_peak_bytes;
    device.release_memory = [] {
#if defined(__GLIBC__)
        malloc_trim(0);
#endif
    };
    return device;
}

}  // namespace orchestrate
