#include "worker/training/out_of_memory.h"

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
        // LibTorch's CPU allocator has no exception class of its own.
        if (std::strstr(error.what_without_backtrace(), "DefaultCPUAllocator") == nullptr) {
            throw;
        }
        return error.what_without_backtrace();
    }
}

}  // namespace orchestrate
