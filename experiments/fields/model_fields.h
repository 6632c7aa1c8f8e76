// Fields of a study file whose values name parts of a model: encoder layers, hidden states, masked units. Used by
// fields.cpp only.
#pragma once

#include "experiments/fields/fields.h"

namespace orchestrate {

// "model.kept_layers": "all", how many from the first, or a list.
Field kept_layers_field();

// "model.position_embeddings": trained, frozen or none.
Field position_embeddings_field();

// "model.fused_layers": "all" or a list of hidden states.
Field fused_layers_field();

// "train.frozen_embeddings": whether.
Field frozen_embeddings_field();

// "train.frozen_layers": how many, or "all".
Field frozen_layers_field();

// units, share, choice and seed of a mask of the model. `path`: "model.feed_forward_mask"; `words`: what names of
// variants call its units; `has_layers`: a unit is written "layer.unit", otherwise just by its number.
std::vector<Field> unit_mask_fields(const std::string& path, const std::string& words,
                                    UnitMask ModelConfig::*mask, bool has_layers);

}  // namespace orchestrate
