// "1 job", "3 jobs": numbers with a noun in messages.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace orchestrate {

// `noun` in the singular; its plural ends with an s.
inline std::string counted(std::int64_t count, std::string_view noun) {
    return std::to_string(count).append(" ").append(noun).append(count == 1 ? "" : "s");
}

}  // namespace orchestrate
