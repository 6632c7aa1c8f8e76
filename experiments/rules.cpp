#include "experiments/rules.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace orchestrate {

std::vector<Contradiction> find_contradictions(const JobConfig& config, int ranks) {
    std::vector<Contradiction> found;
    const auto& [numerics_version, data, tokenizer, model, train, seed] = config;

    if (model.hidden_size % model.num_attention_heads != 0) {
        found.push_back(
            {{"model.num_attention_heads", "model.hidden_size"},
             fmt::format("model.num_attention_heads = {} does not divide model.hidden_size = {}; expected "
                         "a divisor",
                         model.num_attention_heads, model.hidden_size)});
    }
    // RoBERTa numbers positions from 2 on, BERT from 0.
    const std::int64_t positions = tokenizer.max_length + (model.model_type == ModelType::roberta ? 2 : 0);
    if (positions > model.max_position_embeddings) {
        found.push_back(
            {{"tokenizer.max_length", "model.max_position_embeddings"},
             fmt::format("tokenizer.max_length = {} needs model.max_position_embeddings of at least {}, "
                         "found {}",
                         tokenizer.max_length, positions, model.max_position_embeddings)});
    }
    if (!tokenizer.vocabulary_sha256.empty() &&
        tokenizer.vocabulary_size != TokenizerConfig{}.vocabulary_size) {
        found.push_back(
            {{"tokenizer.vocabulary_size", "tokenizer.vocabulary"},
             "tokenizer.vocabulary and tokenizer.vocabulary_size contradict each other: a given vocabulary "
             "has its size; expected one of the two"});
    }
    const auto& split = data.split;
    if (const double sum = split.train + split.validation + split.test; std::abs(sum - 1) > 1e-9) {
        found.push_back(
            {{"data.split.test", "data.split.validation", "data.split.train"},
             fmt::format("the parts of data.split add up to {:.6g} (train {}, validation {}, test {}); "
                         "expected 1",
                         sum, split.train, split.validation, split.test)});
    }
    if (std::find(data.features.begin(), data.features.end(), data.label) != data.features.end()) {
        found.push_back({{"data.features", "data.label"},
                         "data.label = '" + data.label +
                             "' is also one of data.features; expected another column, "
                             "since a model that reads the answer learns nothing"});
    }
    if (train.batch_size < ranks) {
        found.push_back(
            {{"train.batch_size", "study.ranks"},
             fmt::format("train.batch_size = {} cannot be spread over {} ranks; expected at least one "
                         "example per rank",
                         train.batch_size, ranks)});
    }
    return found;
}

JobConfig without_unused_fields(JobConfig config) {
    auto& text = config.data.text;
    if (text.form == TextForm::quantile_words) {
        text.decimals = TextConfig{}.decimals;
    } else {
        text.quantiles = TextConfig{}.quantiles;
    }
    if (config.model.head_width == 0) {
        config.model.head_activation = ModelConfig{}.head_activation;
    }
    return config;
}

}  // namespace orchestrate
