#include "worker/cuda/gpu_kernels.h"

#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <tuple>

#include <ATen/ATen.h>
#include <ATen/cuda/CUDAContext.h>
#include <cuda.h>
#include <dlfcn.h>

#include "fused_kernels_source.h"
#include "worker/cuda/kernel_compiler.h"
#include "worker/training/operations/fused_kernels.h"

namespace orchestrate {

namespace {

using at::Tensor;

// The driver's functions that load and launch what NVRTC compiled.
class Driver {
  public:
    Driver() : library_(dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL)) {
        if (library_ == nullptr) {
            throw std::runtime_error("libcuda.so.1 cannot be opened");
        }
        find(load, "cuModuleLoadData");
        find(function_of, "cuModuleGetFunction");
        find(launch, "cuLaunchKernel");
        find(get_context, "cuCtxGetCurrent");
        find(set_context, "cuCtxSetCurrent");
        find(describe, "cuGetErrorString");
    }

    void check(CUresult result, const std::string& what) const {
        if (result != CUDA_SUCCESS) {
            const char* text = nullptr;
            describe(result, &text);
            throw std::runtime_error(what + ": " + (text != nullptr ? text : "unknown error of the driver"));
        }
    }

    decltype(&cuModuleLoadData) load = nullptr;
    decltype(&cuModuleGetFunction) function_of = nullptr;
    decltype(&cuLaunchKernel) launch = nullptr;
    decltype(&cuCtxGetCurrent) get_context = nullptr;
    decltype(&cuCtxSetCurrent) set_context = nullptr;
    decltype(&cuGetErrorString) describe = nullptr;

  private:
    template <class Function>
    void find(Function& function, const char* name) {
        function = reinterpret_cast<Function>(dlsym(library_, name));
        if (function == nullptr) {
            throw std::runtime_error(std::string("libcuda.so.1 has no ") + name);
        }
    }

    void* library_ = nullptr;  // stays open
};

// Compiles a variant when it is first launched, which must not be while work is recorded: a pass is always done once before.
// Thread-safe: the backward pass launches from a thread of LibTorch's.
class GpuLauncher final : public KernelLauncher {
  public:
    explicit GpuLauncher(c10::Device device) {
        const cudaDeviceProp& properties = *at::cuda::getDeviceProperties(device.index());
        architecture_ = "sm_" + std::to_string(properties.major) + std::to_string(properties.minor);
        constexpr std::int64_t kWarpsPerMultiprocessor = 8;
        warps_ = properties.multiProcessorCount * kWarpsPerMultiprocessor;
        at::zeros({1}, device);  // makes the context
        driver_.check(driver_.get_context(&context_), "no CUDA context");
    }

    void launch(const KernelVariant& variant, const char* kernel, const LaunchShape& shape,
                void** arguments) override {
        CUcontext current = nullptr;
        if (driver_.get_context(&current) != CUDA_SUCCESS || current == nullptr) {
            driver_.check(driver_.set_context(context_), "no CUDA context");
        }
        const CUfunction function = find(variant, kernel);
        driver_.check(driver_.launch(function, static_cast<unsigned>(shape.blocks),
                                     static_cast<unsigned>(shape.blocks_y), 1,
                                     static_cast<unsigned>(shape.threads), 1, 1, /*shared_bytes=*/0,
                                     at::cuda::getCurrentCUDAStream().stream(), arguments, nullptr),
                      kernel);
    }

    std::int64_t warps() const override { return warps_; }

  private:
    CUfunction find(const KernelVariant& variant, const std::string& kernel) {
        const std::lock_guard lock(mutex_);
        const auto known = functions_.find({variant, kernel});
        if (known != functions_.end()) {
            return known->second;
        }
        auto module = modules_.find(variant);
        if (module == modules_.end()) {
            const std::string code = compile_kernels(kFusedKernelsSource, architecture_,
                                                     {"BF16=" + std::to_string(variant.bf16 ? 1 : 0),
                                                      "COLUMNS=" + std::to_string(variant.columns)});
            CUmodule loaded = nullptr;
            driver_.check(driver_.load(&loaded, code.data()), "loading the kernels");
            module = modules_.emplace(variant, loaded).first;
        }
        CUfunction function = nullptr;
        driver_.check(driver_.function_of(&function, module->second, kernel.c_str()), kernel);
        functions_[{variant, kernel}] = function;
        return function;
    }

    const Driver driver_;
    std::string architecture_;
    std::int64_t warps_ = 0;
    CUcontext context_ = nullptr;
    std::mutex mutex_;
    std::map<KernelVariant, CUmodule> modules_;  // as long as the process
    std::map<std::pair<KernelVariant, std::string>, CUfunction> functions_;
};

FlashResult flash_attention(const Tensor& query, const Tensor& key, const Tensor& value,
                            const VariedLengths& lengths) {
    const auto found =
        at::_flash_attention_forward(query, key, value, lengths.query_begin, lengths.key_begin,
                                     lengths.longest_query, lengths.longest_key, /*dropout_p=*/0.0,
                                     /*is_causal=*/false, /*return_debug_mask=*/false);
    return {std::get<0>(found), std::get<1>(found), std::get<2>(found), std::get<3>(found)};
}

FlashGradients flash_attention_backward(const Tensor& gradient, const Tensor& query, const Tensor& key,
                                        const Tensor& value, const FlashResult& forward,
                                        const VariedLengths& lengths) {
    const auto found = at::_flash_attention_backward(
        gradient, query, key, value, forward.output, forward.log_sum, lengths.query_begin, lengths.key_begin,
        lengths.longest_query, lengths.longest_key, /*dropout_p=*/0.0, /*is_causal=*/false,
        forward.random_state, forward.unused);
    return {std::get<0>(found), std::get<1>(found), std::get<2>(found)};
}

// bf16 operands, added to fp32 by the product itself.
void add_product(const Tensor& target, const Tensor& left, const Tensor& right) {
    Tensor sum = target;
    if (left.scalar_type() == at::kFloat) {
        sum.addmm_(left.t(), right);
    } else {
        at::addmm_out(sum, sum, left.t(), right, at::kFloat);
    }
}

// Where LibTorch has no such addition.
void add_separate_product(const Tensor& target, const Tensor& left, const Tensor& right) {
    if (left.scalar_type() == at::kFloat) {
        target.addmm_(left.t(), right);
    } else {
        target.add_(at::mm(left.t(), right, at::kFloat));
    }
}

}  // namespace

DeviceKernels gpu_kernels(c10::Device device, std::vector<std::string>& notes) {
    DeviceKernels kernels = plain_kernels();
    try {
        kernels = fused_kernels(std::make_shared<GpuLauncher>(device));
    } catch (const std::exception& error) {
        notes.push_back(std::string("warning: the kernels for this GPU cannot be had: ") + error.what());
    }
    if (at::cuda::getDeviceProperties(device.index())->major >= 8) {
        kernels.flash_attention = flash_attention;
        kernels.flash_attention_backward = flash_attention_backward;
    }
    DeviceKernels products = plain_kernels();
    for (const auto& add : {add_product, add_separate_product}) {
        products.add_product = add;
        if (self_check_kernels(products, device).empty()) {
            kernels.add_product = add;
            break;
        }
    }
    const auto differences = self_check_kernels(kernels, device);
    notes.insert(notes.end(), differences.begin(), differences.end());
    return kernels;
}

}  // namespace orchestrate
