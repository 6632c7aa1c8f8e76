#include "common/job/model_size.h"

#include "common/job/used_layers.h"

namespace orchestrate {

std::int64_t model_parameters(const ModelConfig& model, std::int64_t vocabulary, std::int64_t classes) {
    const std::int64_t hidden = model.hidden_size;
    const auto linear = [](std::int64_t inputs, std::int64_t outputs) { return (inputs + 1) * outputs; };
    const std::int64_t token_types = model.model_type == ModelType::roberta ? 1 : 2;
    const std::int64_t positions =
        model.position_embeddings == PositionEmbeddings::none ? 0 : model.max_position_embeddings;
    const std::int64_t norm = 2 * hidden;
    const std::int64_t layer = 4 * linear(hidden, hidden) + linear(hidden, model.intermediate_size) +
                               linear(model.intermediate_size, hidden) + 2 * norm;
    const auto states = static_cast<std::int64_t>(read_states(model).size());
    const std::int64_t features = model.layer_fusion == LayerFusion::concatenation ? states * hidden : hidden;
    const std::int64_t head = model.head_width > 0
                                  ? linear(features, model.head_width) + linear(model.head_width, classes)
                                  : linear(features, classes);
    return (vocabulary + positions + token_types) * hidden + norm +
           static_cast<std::int64_t>(used_layers(model).size()) * layer + head +
           (model.layer_fusion == LayerFusion::weighted ? states : 0);
}

}  // namespace orchestrate
