// Preloaded into a program (LD_PRELOAD), counts how often it waits for the disk; at its end appends a line
// "PROGRAM PROCESS SYNCS" to the file that ORCHESTRATE_SYNC_COUNTS names.
#include <atomic>
#include <cstdio>
#include <cstdlib>

#include <dlfcn.h>
#include <errno.h>
#include <unistd.h>

namespace {

std::atomic<long> syncs{0};

int count(const char* name, int file) {
    syncs.fetch_add(1, std::memory_order_relaxed);
    return reinterpret_cast<int (*)(int)>(dlsym(RTLD_NEXT, name))(file);
}

struct AtTheEnd {
    ~AtTheEnd() {
        if (const char* path = std::getenv("ORCHESTRATE_SYNC_COUNTS")) {
            if (std::FILE* file = std::fopen(path, "a")) {
                std::fprintf(file, "%s %d %ld\n", program_invocation_short_name, getpid(), syncs.load());
                std::fclose(file);
            }
        }
    }
} at_the_end;

}  // namespace

extern "C" int fsync(int file) {
    return count("fsync", file);
}

extern "C" int fdatasync(int file) {
    return count("fdatasync", file);
}
