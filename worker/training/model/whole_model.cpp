#include "worker/training/model/whole_model.h"

#include "worker/training/model/parameter_names.h"

namespace orchestrate {

std::vector<WholeTensor> whole_model_tensors(const PretrainedConfig& config, std::int64_t classes) {
    const ModelConfig& model = config.model;
    const ParameterNames names = ParameterNames::of(model.model_type);
    const std::int64_t hidden = model.hidden_size;
    const std::int64_t inner = model.intermediate_size;
    std::vector<WholeTensor> tensors;
    const auto add_linear = [&](const std::string& name, std::int64_t outputs, std::int64_t inputs,
                                bool is_head = false) {
        tensors.push_back({name + ".weight", {outputs, inputs}, is_head});
        tensors.push_back({name + ".bias", {outputs}, is_head});
    };
    const auto add_norm = [&](const std::string& name) {
        tensors.push_back({name + ".weight", {hidden}});
        tensors.push_back({name + ".bias", {hidden}});
    };
    tensors.push_back({names.word_embeddings(), {config.vocabulary_size, hidden}});
    tensors.push_back({names.position_embeddings(), {model.max_position_embeddings, hidden}});
    tensors.push_back({names.type_embeddings(), {config.token_types, hidden}});
    add_norm(names.encoder + "embeddings.LayerNorm");
    for (std::int64_t layer = 0; layer < model.num_hidden_layers; ++layer) {
        const std::string prefix = names.layer(layer);
        for (const char* part : {"query", "key", "value"}) {
            add_linear(prefix + "attention.self." + part, hidden, hidden);
        }
        add_linear(prefix + "attention.output.dense", hidden, hidden);
        add_norm(prefix + "attention.output.LayerNorm");
        add_linear(prefix + "intermediate.dense", inner, hidden);
        add_linear(prefix + "output.dense", hidden, inner);
        add_norm(prefix + "output.LayerNorm");
    }
    add_linear(names.hidden, hidden, hidden, true);
    if (classes > 0) {
        add_linear(names.output, classes, hidden, true);
    }
    return tensors;
}

}  // namespace orchestrate
