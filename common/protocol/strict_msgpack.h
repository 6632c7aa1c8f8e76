// MessagePack from others: nested endlessly, it would fill the stack of a reader that recurses.
#pragma once

#include <cstdint>
#include <span>

#include "common/base/json.h"

namespace orchestrate {

// The value that `bytes` hold, all of them. Throws std::runtime_error if they are no MessagePack or are nested deeper than
// `max_levels`.
Json parse_strict_msgpack(std::span<const std::uint8_t> bytes, int max_levels = 64);

}  // namespace orchestrate
