// Which encoder layers a model has and which hidden states its classifier reads, once its ablations are
// applied. Hidden state 0 is the embeddings, n the output of the n-th kept layer.
#pragma once

#include <cstdint>
#include <vector>

#include "common/job/job_config.h"

namespace orchestrate {

// Numbers of the encoder layers that are kept, ascending: kept_layers, or all.
std::vector<std::int64_t> kept_layers(const ModelConfig& model);

// Hidden states that the classifier reads, ascending; at least one.
std::vector<std::int64_t> read_states(const ModelConfig& model);

// Numbers of the layers that are computed, ascending: the kept ones up to the highest state that is read.
// Those above it would change nothing, so the model does not have them. May be empty (embeddings alone).
std::vector<std::int64_t> used_layers(const ModelConfig& model);

// Units of a layer with `units` of them that a mask's share stands for; the share rounds to whole units.
std::int64_t masked_by_share(const UnitMask& mask, std::int64_t units);

}  // namespace orchestrate
