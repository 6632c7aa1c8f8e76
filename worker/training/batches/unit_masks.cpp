#include "worker/training/batches/unit_masks.h"

#include <algorithm>
#include <numeric>

#include "common/job/used_layers.h"
#include "worker/training/kernels/keyed_random.h"

namespace orchestrate {

namespace {

// One kind of unit: its mask, and the numbers of the layers that have it.
struct Kind {
    std::string name;
    const UnitMask& mask;
    std::vector<std::int64_t> layers;
    std::int64_t units = 0;  // of a layer
    std::uint64_t key = 0;   // of random draws
};

Kind heads_of(const ModelConfig& model) {
    return {"attention heads", model.attention_head_mask, used_layers(model), model.num_attention_heads, 1};
}

Kind neurons_of(const ModelConfig& model) {
    return {"feed-forward neurons", model.feed_forward_mask, used_layers(model), model.intermediate_size, 2};
}

Kind classifier_of(const ModelConfig& model) {
    const std::vector<std::int64_t> layers(model.head_width > 0 ? 1 : 0, 0);
    return {"classifier units", model.classifier_mask, layers, model.head_width, 3};
}

// Calls work(kind, units of that kind).
template <class Units, class Work>
void for_each_kind(const ModelConfig& model, Units& units, const Work& work) {
    work(heads_of(model), units.heads);
    work(neurons_of(model), units.neurons);
    work(classifier_of(model), units.classifier);
}

// Masks as many units of a layer as the share stands for, in that order, without those masked already.
void mask_share(const Kind& kind, const std::vector<std::size_t>& order, std::vector<char>& layer) {
    std::int64_t missing = masked_by_share(kind.mask, kind.units);
    for (const std::size_t unit : order) {
        if (missing > 0 && layer[unit] == 0) {
            layer[unit] = 1;
            --missing;
        }
    }
}

// Fisher-Yates, keyed.
std::vector<std::size_t> random_order(std::int64_t count, std::uint64_t key) {
    std::vector<std::size_t> order(static_cast<std::size_t>(count));
    std::iota(order.begin(), order.end(), 0U);
    for (std::size_t i = order.size(); i > 1; --i) {
        std::swap(order[i - 1], order[mix(key, i) % i]);
    }
    return order;
}

bool is_scored(const UnitMask& mask) {
    return mask.share > 0 && mask.choice != UnitChoice::random;
}

}  // namespace

MaskedUnits no_masked_units(const ModelConfig& model) {
    MaskedUnits none;
    for_each_kind(model, none, [](const Kind& kind, OfUnits<char>& units) {
        units.assign(kind.layers.size(), std::vector<char>(static_cast<std::size_t>(kind.units), 0));
    });
    return none;
}

MaskedUnits masked_without_scores(const ModelConfig& model) {
    MaskedUnits masked = no_masked_units(model);
    for_each_kind(model, masked, [](const Kind& kind, OfUnits<char>& units) {
        for (std::size_t i = 0; i < units.size(); ++i) {
            for (const ModelUnit& unit : kind.mask.units) {
                if (unit.layer == kind.layers[i]) {
                    units[i].at(static_cast<std::size_t>(unit.unit)) = 1;
                }
            }
            if (kind.mask.choice == UnitChoice::random) {
                const auto layer = static_cast<std::uint64_t>(kind.layers[i]);
                mask_share(kind, random_order(kind.units, mix(mix(kind.mask.seed, kind.key), layer)),
                           units[i]);
            }
        }
    });
    return masked;
}

bool needs_scores(const ModelConfig& model) {
    return is_scored(model.attention_head_mask) || is_scored(model.feed_forward_mask) ||
           (model.head_width > 0 && is_scored(model.classifier_mask));
}

void mask_lowest(const ModelConfig& model, const UnitScores& scores, MaskedUnits& masked) {
    const auto mask_kind = [](const Kind& kind, const OfUnits<double>& score, OfUnits<char>& units) {
        for (std::size_t i = 0; is_scored(kind.mask) && i < units.size(); ++i) {
            std::vector<std::size_t> order(units[i].size());
            std::iota(order.begin(), order.end(), 0U);
            std::stable_sort(order.begin(), order.end(),
                             [&](std::size_t a, std::size_t b) { return score[i][a] < score[i][b]; });
            mask_share(kind, order, units[i]);
        }
    };
    mask_kind(heads_of(model), scores.heads, masked.heads);
    mask_kind(neurons_of(model), scores.neurons, masked.neurons);
    mask_kind(classifier_of(model), scores.classifier, masked.classifier);
}

std::vector<std::string> describe(const ModelConfig& model, const MaskedUnits& masked) {
    std::vector<std::string> lines;
    for_each_kind(model, masked, [&](const Kind& kind, const OfUnits<char>& units) {
        std::int64_t count = 0;
        std::string names;
        for (std::size_t i = 0; i < units.size(); ++i) {
            for (std::size_t unit = 0; unit < units[i].size(); ++unit) {
                if (units[i][unit] == 0) {
                    continue;
                }
                std::size_t last = unit;
                while (last + 1 < units[i].size() && units[i][last + 1] != 0) {
                    ++last;
                }
                count += static_cast<std::int64_t>(last - unit + 1);
                names.append(names.empty() ? " " : ", ");
                names.append(std::to_string(kind.layers[i]) + '.' + std::to_string(unit));
                if (last > unit) {
                    names.append('-' + std::to_string(last));
                }
                unit = last;
            }
        }
        if (count > 0) {
            const auto all = static_cast<std::int64_t>(units.size()) * kind.units;
            lines.push_back(std::to_string(count) + " of " + std::to_string(all) + " " + kind.name +
                            " masked:" + names);
        }
    });
    return lines;
}

}  // namespace orchestrate
