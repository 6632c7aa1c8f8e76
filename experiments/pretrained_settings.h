// What a study's model.pretrained settles: sizes and head of the model, the vocabulary, the hash of the weights. Internal
// to experiments/.
#pragma once

#include "experiments/expansion/ablation.h"
#include "experiments/expansion/search_space.h"
#include "experiments/fields/fields.h"

namespace orchestrate {

// Reads the folder that the settings name, if one; a file that contradicts it is reported at its place.
void resolve_pretrained(Settings& settings, const GivenFields& given, Diagnostics& diagnostics);

// Reports searches and ablations that change a size of pretrained weights.
void check_pretrained_changes(const Settings& settings, const std::vector<Distribution>& space,
                              const std::vector<AblationEntry>& ablations, Diagnostics& diagnostics);

}  // namespace orchestrate
