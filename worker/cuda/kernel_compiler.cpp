#include "worker/cuda/kernel_compiler.h"

#include <stdexcept>

#include <dlfcn.h>
#include <nvrtc.h>

namespace orchestrate {

namespace {

// NVRTC's functions, out of the library that is found: linking it would make it a need of this part.
class Nvrtc {
  public:
    Nvrtc() {
        for (const char* const name : {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"}) {
            if (library_ == nullptr) {
                library_ = dlopen(name, RTLD_NOW | RTLD_LOCAL);
            }
        }
        if (library_ == nullptr) {
            throw std::runtime_error("libnvrtc.so cannot be opened, so that no kernels can be compiled");
        }
        find(create, "nvrtcCreateProgram");
        find(destroy, "nvrtcDestroyProgram");
        find(compile, "nvrtcCompileProgram");
        find(log_size, "nvrtcGetProgramLogSize");
        find(log, "nvrtcGetProgramLog");
        find(code_size, "nvrtcGetCUBINSize");
        find(code, "nvrtcGetCUBIN");
        find(describe, "nvrtcGetErrorString");
    }

    void check(nvrtcResult result, const char* what) const {
        if (result != NVRTC_SUCCESS) {
            throw std::runtime_error(std::string("NVRTC: ") + what + ": " + describe(result));
        }
    }

    decltype(&nvrtcCreateProgram) create = nullptr;
    decltype(&nvrtcDestroyProgram) destroy = nullptr;
    decltype(&nvrtcCompileProgram) compile = nullptr;
    decltype(&nvrtcGetProgramLogSize) log_size = nullptr;
    decltype(&nvrtcGetProgramLog) log = nullptr;
    decltype(&nvrtcGetCUBINSize) code_size = nullptr;
    decltype(&nvrtcGetCUBIN) code = nullptr;
    decltype(&nvrtcGetErrorString) describe = nullptr;

  private:
    template <class Function>
    void find(Function& function, const char* name) {
        function = reinterpret_cast<Function>(dlsym(library_, name));
        if (function == nullptr) {
            throw std::runtime_error(std::string("libnvrtc.so has no ") + name);
        }
    }

    void* library_ = nullptr;  // stays open
};

class Program {
  public:
    Program(const Nvrtc& nvrtc, const std::string& source) : nvrtc_(nvrtc) {
        nvrtc_.check(nvrtc_.create(&program_, source.c_str(), "fused_kernels.cu", 0, nullptr, nullptr),
                     "create");
    }
    ~Program() { nvrtc_.destroy(&program_); }
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;

    std::string compile(const std::vector<std::string>& options) const {
        std::vector<const char*> texts;
        for (const std::string& option : options) {
            texts.push_back(option.c_str());
        }
        if (nvrtc_.compile(program_, static_cast<int>(texts.size()), texts.data()) != NVRTC_SUCCESS) {
            std::size_t size = 0;
            nvrtc_.check(nvrtc_.log_size(program_, &size), "log");
            std::string log(size, ' ');
            nvrtc_.check(nvrtc_.log(program_, log.data()), "log");
            throw std::runtime_error("NVRTC does not compile the kernels: " + log);
        }
        std::size_t size = 0;
        nvrtc_.check(nvrtc_.code_size(program_, &size), "device code");
        std::string code(size, ' ');
        nvrtc_.check(nvrtc_.code(program_, code.data()), "device code");
        return code;
    }

  private:
    const Nvrtc& nvrtc_;
    nvrtcProgram program_ = nullptr;
};

}  // namespace

std::string compile_kernels(const std::string& source, const std::string& architecture,
                            const std::vector<std::string>& definitions) {
    static const Nvrtc nvrtc;
    std::vector<std::string> options = {"--gpu-architecture=" + architecture, "--std=c++17"};
    for (const std::string& definition : definitions) {
        options.push_back("--define-macro=" + definition);
    }
    return Program(nvrtc, source).compile(options);
}

}  // namespace orchestrate
