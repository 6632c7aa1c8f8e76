// One job per ablation of the model, for tests of what no ablation may depend on.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/job/job_config.h"

namespace orchestrate::test {

struct Ablation {
    std::string name;
    std::function<void(JobConfig&)> apply;  // to synthetic_job()
};

inline std::vector<Ablation> ablations() {
    const auto windows = [](WindowPooling pooling) {
        return [pooling](JobConfig& config) {
            config.tokenizer.window_length = 7;
            config.tokenizer.window_stride = 3;
            config.model.window_pooling = pooling;
        };
    };
    const auto fusion = [](LayerFusion kind, std::vector<std::int64_t> states) {
        return [kind, states](JobConfig& config) {
            config.model.layer_fusion = kind;
            config.model.fused_layers = states;
        };
    };
    const auto share_of = [](UnitMask ModelConfig::*mask, UnitChoice choice) {
        return [mask, choice](JobConfig& config) { (config.model.*mask) = {{}, 0.5, choice, 3}; };
    };
    return {
        {"kept_layer", [](JobConfig& config) { config.model.kept_layers = {1}; }},
        {"no_positions",
         [](JobConfig& config) { config.model.position_embeddings = PositionEmbeddings::none; }},
        {"frozen_positions",
         [](JobConfig& config) { config.model.position_embeddings = PositionEmbeddings::frozen; }},
        {"named_units",
         [](JobConfig& config) {
             config.model.attention_head_mask.units = {{0, 1}, {1, 0}};
             config.model.feed_forward_mask.units = {{1, 5}, {1, 6}, {1, 40}};
             config.model.classifier_mask.units = {{0, 0}, {0, 9}};
         }},
        {"random_neurons", share_of(&ModelConfig::feed_forward_mask, UnitChoice::random)},
        {"neurons_of_lowest_activation",
         share_of(&ModelConfig::feed_forward_mask, UnitChoice::lowest_activation)},
        {"heads_of_lowest_activation",
         share_of(&ModelConfig::attention_head_mask, UnitChoice::lowest_activation)},
        {"heads_of_lowest_gradient",
         share_of(&ModelConfig::attention_head_mask, UnitChoice::lowest_gradient)},
        {"units_of_lowest_gradient", share_of(&ModelConfig::classifier_mask, UnitChoice::lowest_gradient)},
        {"frozen_embeddings", [](JobConfig& config) { config.train.frozen_embeddings = true; }},
        {"frozen_layer", [](JobConfig& config) { config.train.frozen_layers = 1; }},
        {"frozen_encoder_with_lowest_gradient",
         [](JobConfig& config) {
             config.train.frozen_embeddings = true;
             config.train.frozen_layers = kAllLayers;
             config.model.feed_forward_mask = {{}, 0.5, UnitChoice::lowest_gradient, 0};
         }},
        {"concatenation", fusion(LayerFusion::concatenation, {0, 2})},
        {"mean_of_layers", fusion(LayerFusion::mean, {})},
        {"weighted_layers", fusion(LayerFusion::weighted, {0, 1, 2})},
        {"lower_layer", fusion(LayerFusion::mean, {1})},
        {"embeddings_alone", fusion(LayerFusion::mean, {0})},
        {"mean_pooling", [](JobConfig& config) { config.model.pooling = Pooling::mean; }},
        {"mean_of_windows", windows(WindowPooling::mean)},
        {"greatest_of_windows", windows(WindowPooling::max)},
        {"bert_with_everything",
         [=](JobConfig& config) {
             config.model.model_type = ModelType::bert;
             windows(WindowPooling::mean)(config);
             fusion(LayerFusion::weighted, {1, 2})(config);
             config.model.pooling = Pooling::mean;
             config.model.feed_forward_mask = {{}, 0.25, UnitChoice::lowest_activation, 0};
             config.model.attention_head_mask.units = {{0, 1}};
             config.model.classifier_mask = {{}, 0.25, UnitChoice::random, 1};
             config.train.frozen_embeddings = true;
         }},
    };
}

}  // namespace orchestrate::test
