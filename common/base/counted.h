// "1 job", "3 jobs": numbers with a noun in messages.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace orchestrate {

// `noun` in the singular; `plural` only where an s at its end does not make it.
inline std::string counted(std::int64_t count, std::string_view noun, std::string_view plural = {}) {
    const std::string number = std::to_string(count) + " ";
    if (count == 1) {
        return number + std::string(noun);
    }
    return number + (plural.empty() ? std::string(noun) + "s" : std::string(plural));
}

}  // namespace orchestrate
