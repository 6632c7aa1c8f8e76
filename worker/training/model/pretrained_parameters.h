// Puts pretrained weights into a model's parameters: the rows of the embeddings that its texts use, and the head
// where it fits.
#pragma once

#include <string>
#include <vector>

#include "worker/training/model/parameters.h"
#include "worker/training/model/pretrained_weights.h"

namespace orchestrate {

// Sets all parameters: those of the encoder to the weights, and those of the head if it is one for these classes; what
// the weights lack gets its initial values from `seed`. Returns lines for the job's log: what was left out and which
// parameters are fresh. Throws UserError where the configuration does not fit the weights.
std::vector<std::string> fill_from_pretrained(Parameters& parameters, const PretrainedWeights& weights,
                                              const std::vector<std::string>& classes, std::uint64_t seed);

}  // namespace orchestrate
