// How Hugging Face names the parameters of its sequence classifiers. Free of torch.
#pragma once

#include <cstdint>
#include <string>

#include "common/job/job_config.h"

namespace orchestrate {

struct ParameterNames {
    std::string encoder;  // before the encoder's: "roberta."
    std::string hidden;   // the linear layer that is the head's hidden layer; BERT's pooler
    std::string output;   // the linear layer that gives the logits

    static ParameterNames of(ModelType type);
    std::string word_embeddings() const { return encoder + "embeddings.word_embeddings.weight"; }
    std::string position_embeddings() const { return encoder + "embeddings.position_embeddings.weight"; }
    std::string type_embeddings() const { return encoder + "embeddings.token_type_embeddings.weight"; }
    std::string layer_weights() const { return "classifier.layer_weights"; }  // of a learned fusion
    std::string layer(std::int64_t index) const {
        return encoder + "encoder.layer." + std::to_string(index) + ".";
    }
};

}  // namespace orchestrate
