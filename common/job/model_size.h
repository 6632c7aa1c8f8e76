// How large a model is, from its configuration alone.
#pragma once

#include <cstdint>

#include "common/job/job_config.h"

namespace orchestrate {

// Parameters of the whole model, trained or not: what a saved model holds. `vocabulary`: rows of its embeddings.
std::int64_t model_parameters(const ModelConfig& model, std::int64_t vocabulary, std::int64_t classes);

}  // namespace orchestrate
