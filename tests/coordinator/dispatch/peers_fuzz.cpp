// For libFuzzer: whatever decoded messages workers send, the dispatcher and the job store bear it.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "tests/coordinator/dispatch/wild_peers.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    const std::string wrong = orchestrate::test::live_with_wild_peers({bytes, size});
    if (!wrong.empty()) {
        std::fprintf(stderr, "%s\n", wrong.c_str());
        std::abort();
    }
    return 0;
}
