// For libFuzzer: any bytes as a safetensors header are read or refused. Built and run by safetensors_fuzz_test where
// there is clang++.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/base/error.h"
#include "worker/training/support/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    constexpr std::uint64_t kDataBytes = 64;
    const std::string_view header(reinterpret_cast<const char*>(bytes), size);
    try {
        std::uint64_t covered = 0;
        for (const auto& [name, place] : orchestrate::parse_safetensors_header(header, kDataBytes, "input")) {
            covered += place.end - place.begin;
        }
        if (covered != kDataBytes) {
            __builtin_trap();
        }
    } catch (const orchestrate::UserError&) {
    }
    return 0;
}
