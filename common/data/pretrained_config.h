// A folder with a model as Hugging Face's transformers saves it: what its config.json says, which files hold its
// weights, and the hash of both. Free of torch: the study is checked by it on the login node.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/job/job_config.h"

namespace orchestrate {

struct PretrainedConfig {
    // As config.json states it; the head is that of Hugging Face's classifier unless the model was saved with
    // another one by this program. Everything else as by default.
    ModelConfig model;
    std::int64_t vocabulary_size = 0;
    std::int64_t token_types = 0;
    std::int64_t pad_token = 0;
    std::vector<std::string> classes;  // id2label, in order; empty: LABEL_0, LABEL_1, ... or none
};

// Throws UserError naming file and key for what is missing, unfit, or not understood: a key may be one that changes
// what the model computes.
PretrainedConfig read_pretrained_config(const std::filesystem::path& folder);

// The weights of a folder: model.safetensors, or the shards that model.safetensors.index.json names.
struct WeightFiles {
    std::filesystem::path index;  // empty: none
    std::vector<std::filesystem::path> files;
    // Which file the index says a tensor is in; empty without index.
    std::vector<std::pair<std::string, std::filesystem::path>> file_of_tensor;
};

// Throws UserError if there are none, or two kinds, or the index is unfit.
WeightFiles find_weight_files(const std::filesystem::path& folder);

// Hash over the names and contents of config.json and the weight files. Reads them once (about 1 s for 500 MB).
// Throws UserError.
std::string sha256_hex_of_pretrained(const std::filesystem::path& folder);

}  // namespace orchestrate
