#include "common/job/used_layers.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace orchestrate {

std::vector<std::int64_t> kept_layers(const ModelConfig& model) {
    if (!model.kept_layers.empty()) {
        return model.kept_layers;
    }
    std::vector<std::int64_t> all(static_cast<std::size_t>(model.num_hidden_layers));
    std::iota(all.begin(), all.end(), 0);
    return all;
}

std::vector<std::int64_t> read_states(const ModelConfig& model) {
    const auto layers = static_cast<std::int64_t>(kept_layers(model).size());
    if (model.layer_fusion == LayerFusion::last) {
        return {layers};
    }
    if (!model.fused_layers.empty()) {
        return model.fused_layers;
    }
    std::vector<std::int64_t> all(static_cast<std::size_t>(layers));
    std::iota(all.begin(), all.end(), 1);
    return all;
}

std::vector<std::int64_t> used_layers(const ModelConfig& model) {
    auto layers = kept_layers(model);
    layers.resize(std::min(layers.size(), static_cast<std::size_t>(read_states(model).back())));
    return layers;
}

std::int64_t masked_by_share(const UnitMask& mask, std::int64_t units) {
    return std::llround(mask.share * static_cast<double>(units));
}

}  // namespace orchestrate
