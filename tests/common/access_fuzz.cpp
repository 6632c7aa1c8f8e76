// For libFuzzer: any text as an access file is read or refused; what is read is complete.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/base/error.h"
#include "common/protocol/access_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    try {
        const auto access = orchestrate::parse_access({reinterpret_cast<const char*>(bytes), size},
                                                      "the access file 'input'");
        if (access.addresses.empty() || access.port == 0 || access.token.empty() ||
            access.certificate_fingerprint.size() != 64) {
            std::abort();
        }
    } catch (const orchestrate::UserError&) {
    }
    return 0;
}
