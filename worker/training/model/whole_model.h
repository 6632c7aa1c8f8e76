// The tensors of a whole model as Hugging Face saves it, every row of its embeddings included: names and shapes.
// Free of torch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/data/pretrained_config.h"

namespace orchestrate {

struct WholeTensor {
    std::string name;
    std::vector<std::int64_t> shape;
    bool is_head = false;  // may be absent: a fresh one is made
};

// Of the encoder and of Hugging Face's head (for BERT with the pooler, which counts as head). `classes` 0: without the
// layer that gives the logits.
std::vector<WholeTensor> whole_model_tensors(const PretrainedConfig& config, std::int64_t classes);

}  // namespace orchestrate
