// How Hugging Face's encoders number the positions of a text.
#pragma once

#include <cstdint>

#include "common/job/job_config.h"

namespace orchestrate {

// The position of a text's first token: RoBERTa counts on from that of padding.
inline std::int64_t first_position(ModelType type, std::int64_t pad_token) {
    return type == ModelType::roberta ? pad_token + 1 : 0;
}

}  // namespace orchestrate
