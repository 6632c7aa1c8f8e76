// Loaded before zlib into a worker (LD_PRELOAD): opening a data file waits while the file that ORCHESTRATE_STALL names
// exists. The worker's other threads go on, as with a network file system that does not answer.
#include <cstdlib>

#include <dlfcn.h>
#include <unistd.h>

extern "C" void* gzopen(const char* path, const char* mode) {
    constexpr useconds_t kPause = 50'000;
    const char* stall = std::getenv("ORCHESTRATE_STALL");
    while (stall != nullptr && access(stall, F_OK) == 0) {
        usleep(kPause);
    }
    using Open = void* (*)(const char*, const char*);
    static const auto real = reinterpret_cast<Open>(dlsym(RTLD_NEXT, "gzopen"));
    return real(path, mode);
}
