#include "coordinator/sites/local_devices.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include <dlfcn.h>

#include "coordinator/sites/sites.h"

namespace orchestrate {

namespace {

constexpr int kFirstCapabilityWithBf16 = 8;

std::string value_of(const std::string& line) {
    const auto colon = line.find(": ");
    return colon == std::string::npos ? "" : line.substr(colon + 2);
}

bool has_word(const std::string& text, const std::string& word) {
    std::istringstream words(text);
    return std::find(std::istream_iterator<std::string>(words), {}, word) !=
           std::istream_iterator<std::string>();
}

}  // namespace

// Measured on AMD cores with AVX512_BF16 alone (tests/benchmarks/RESULTS.md); others keep fp32.
Precision precision_of_cpu(std::istream& cpuinfo) {
    bool amd = false;
    bool dot_product = false;
    std::string line;
    while (std::getline(cpuinfo, line) && !line.empty()) {
        if (line.starts_with("vendor_id")) {
            amd = value_of(line) == "AuthenticAMD";
        } else if (line.starts_with("flags")) {
            dot_product = has_word(value_of(line), "avx512_bf16");
        }
    }
    return amd && dot_product ? Precision::bf16 : Precision::fp32;
}

// CUDA's driver alone is asked, by its documented C interface: no toolkit is needed.
int lowest_compute_capability() {
    if (visible_gpus() == 0) {
        return 0;
    }
    void* const driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (driver == nullptr) {
        return 0;
    }
    constexpr int kMajorCapability = 75;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
    const auto initialise = reinterpret_cast<int (*)(unsigned)>(dlsym(driver, "cuInit"));
    const auto count_devices = reinterpret_cast<int (*)(int*)>(dlsym(driver, "cuDeviceGetCount"));
    const auto get_device = reinterpret_cast<int (*)(int*, int)>(dlsym(driver, "cuDeviceGet"));
    const auto get_attribute =
        reinterpret_cast<int (*)(int*, int, int)>(dlsym(driver, "cuDeviceGetAttribute"));
    int count = 0;
    if (initialise == nullptr || count_devices == nullptr || get_device == nullptr ||
        get_attribute == nullptr || initialise(0) != 0 || count_devices(&count) != 0) {
        return 0;
    }
    int lowest = 0;
    for (int i = 0; i < count; ++i) {
        int device = 0;
        int major = 0;
        if (get_device(&device, i) != 0 || get_attribute(&major, kMajorCapability, device) != 0) {
            return 0;
        }
        lowest = i == 0 ? major : std::min(lowest, major);
    }
    return lowest;
}

DevicePrecision look_at_devices() {
    DevicePrecision precision;
    std::ifstream cpuinfo("/proc/cpuinfo");
    precision.cpu = precision_of_cpu(cpuinfo);
    precision.has_gpu = visible_gpus() > 0;
    precision.cuda =
        lowest_compute_capability() >= kFirstCapabilityWithBf16 ? Precision::bf16 : Precision::fp32;
    return precision;
}

}  // namespace orchestrate
