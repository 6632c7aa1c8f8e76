// The weights of a Hugging Face model folder in memory, under the names of its sequence classifier, every tensor
// accounted for: used, known to belong to something that is not trained here, or an error. Free of torch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/data/pretrained_config.h"

namespace orchestrate {

struct WeightTensor {
    std::vector<std::int64_t> shape;
    std::vector<float> values;
    std::filesystem::path file;  // for messages
};

// Immutable once loaded.
struct PretrainedWeights {
    std::filesystem::path folder;
    PretrainedConfig config;
    // The whole encoder, with the shapes that config.json says; of the head what the files hold, in any shape.
    std::map<std::string, WeightTensor> tensors;
    std::vector<std::string> ignored;  // tensors of buffers and of other tasks, by name

    std::int64_t bytes() const;
};

// Throws UserError naming file and tensor. `sha256`: of the folder, as the job knows it; empty: not checked.
std::shared_ptr<const PretrainedWeights> load_pretrained_weights(const std::filesystem::path& folder,
                                                                 const std::string& sha256);

}  // namespace orchestrate
