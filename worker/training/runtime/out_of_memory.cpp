#include "worker/training/runtime/out_of_memory.h"

#include <cstring>
#include <new>

#include <c10/util/Exception.h>

namespace orchestrate {

std::optional<std::string> memory_shortage_in(const std::function<void()>& work) {
    try {
        work();
        return std::nullopt;
    } catch (const OutOfMemory& error) {
        return error.what();
    } catch (const std::bad_alloc&) {
        return "the system has no more memory for this process";
    } catch (const c10::OutOfMemoryError& error) {
        return error.what_without_backtrace();
    } catch (const c10::Error& error) {
        // LibTorch's CPU allocator and cuBLAS have no exception class of their own.
        const char* const text = error.what_without_backtrace();
        if (std::strstr(text, "DefaultCPUAllocator") == nullptr &&
            std::strstr(text, "CUBLAS_STATUS_ALLOC_FAILED") == nullptr) {
            throw;
        }
        return text;
    }
}

}  // namespace orchestrate
