// A trained model as a Hugging Face folder: every row of its embeddings, its vocabulary beside it, so that
// transformers loads it and gives the same logits.
//
// What masked units gave is 0, so what reads them is saved as 0. Layers that are kept are numbered anew, and positions
// that are left out are saved as 0.
//
// transformers has one form of classification head for each type. A model with another head (width, activation, fusion,
// pooling) is saved as a bare encoder; its head lies beside it in tensors that begin with "orchestrate.", described by
// the key "orchestrate" of config.json, which this program reads back.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "common/base/durable_files.h"
#include "common/job/attempt.h"
#include "common/job/job_config.h"
#include "worker/data/prepared_data.h"
#include "worker/training/batches/unit_masks.h"
#include "worker/training/model/parameters.h"
#include "worker/training/model/pretrained_weights.h"

namespace orchestrate {

struct ModelToSave {
    const JobConfig& config;
    const PreparedData& data;
    const PretrainedWeights* pretrained = nullptr;  // what training started from; null: from scratch
    const Parameters& parameters;
    const MaskedUnits& masked;
    std::int64_t steps_done = 0;  // optimiser steps behind these parameters
    std::int64_t steps = 0;       // of the whole training
};

// Whether transformers has a class for the model's head.
bool is_hugging_face_head(const ModelConfig& model);

// The embeddings that no text used, as training would have left them: initial values, decayed once a step. `values`
// are those of a parameter that is decayed and has no gradient.
void decay_unused(at::Tensor& values, const TrainConfig& config, std::int64_t steps_done, std::int64_t steps);

// Writes the model into a folder of its own in `models`, named by its hash (sha256_hex_of_pretrained), which appears
// there whole or not at all. A folder that is there already is left alone. Throws UserError if it cannot be written.
SavedModel save_model(DurableFiles& files, const std::filesystem::path& models, const ModelToSave& model);

}  // namespace orchestrate
