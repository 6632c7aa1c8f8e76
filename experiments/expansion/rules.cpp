#include "experiments/expansion/rules.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "common/job/used_layers.h"

namespace orchestrate {
namespace {

constexpr std::int64_t kSpecialTokens = 2;  // begin and end of a text or window
constexpr std::int64_t kMaxWindows = 4096;

std::string layers_of(const ModelConfig& model) {
    return fmt::format("model.num_hidden_layers = {} makes layers 0 to {}", model.num_hidden_layers,
                       model.num_hidden_layers - 1);
}

// Windows that a text of the greatest length is cut into.
std::int64_t max_windows(const TokenizerConfig& tokenizer) {
    const std::int64_t beyond_first = tokenizer.max_length - tokenizer.window_length;
    return 1 +
           std::max<std::int64_t>(0, beyond_first + tokenizer.window_stride - 1) / tokenizer.window_stride;
}

bool has_windows(const TokenizerConfig& tokenizer) {
    return tokenizer.window_length > 0 && tokenizer.window_length < tokenizer.max_length;
}

void check_windows(const TokenizerConfig& tokenizer, std::vector<Contradiction>& found) {
    if (tokenizer.window_length == 0) {
        return;
    }
    const std::int64_t room = tokenizer.window_length - kSpecialTokens;
    if (room < 1) {
        found.push_back({{"tokenizer.window_length"},
                         fmt::format("tokenizer.window_length = {} has no room for a token between the two "
                                     "special ones; expected at least {}, or 0 for no windows",
                                     tokenizer.window_length, kSpecialTokens + 1)});
    } else if (tokenizer.window_stride < 1 || tokenizer.window_stride > room) {
        found.push_back({{"tokenizer.window_stride", "tokenizer.window_length"},
                         fmt::format("tokenizer.window_stride = {} {}; expected from 1 to {}, the tokens of "
                                     "the text in a window of tokenizer.window_length = {}",
                                     tokenizer.window_stride,
                                     tokenizer.window_stride < 1 ? "does not move the window"
                                                                 : "leaves tokens out between two windows",
                                     room, tokenizer.window_length)});
    } else if (max_windows(tokenizer) > kMaxWindows) {
        found.push_back(
            {{"tokenizer.window_stride", "tokenizer.max_length"},
             fmt::format("a text of tokenizer.max_length = {} makes {} windows; expected at most {}, so a "
                         "larger tokenizer.window_stride than {}",
                         tokenizer.max_length, max_windows(tokenizer), kMaxWindows,
                         tokenizer.window_stride)});
    }
}

// RoBERTa numbers positions from 2 on, BERT from 0.
void check_positions(const JobConfig& config, std::vector<Contradiction>& found) {
    const TokenizerConfig& tokenizer = config.tokenizer;
    const ModelConfig& model = config.model;
    if (model.position_embeddings == PositionEmbeddings::none) {
        return;
    }
    const bool windows = has_windows(tokenizer);
    const std::int64_t tokens = windows ? tokenizer.window_length : tokenizer.max_length;
    const std::int64_t needed = tokens + (model.model_type == ModelType::roberta ? 2 : 0);
    if (needed > model.max_position_embeddings) {
        const std::string field = windows ? "tokenizer.window_length" : "tokenizer.max_length";
        found.push_back({{field, "model.max_position_embeddings"},
                         fmt::format("{} = {} needs model.max_position_embeddings of at least {}, found {}",
                                     field, tokens, needed, model.max_position_embeddings)});
    }
}

void check_layers(const ModelConfig& model, const TrainConfig& train, std::vector<Contradiction>& found) {
    const auto layers = static_cast<std::int64_t>(kept_layers(model).size());
    if (!model.kept_layers.empty() && model.kept_layers.back() >= model.num_hidden_layers) {
        found.push_back({{"model.kept_layers", "model.num_hidden_layers"},
                         fmt::format("model.kept_layers names layer {}, but {}; expected one of those",
                                     model.kept_layers.back(), layers_of(model))});
    }
    if (model.layer_fusion != LayerFusion::last && !model.fused_layers.empty() &&
        model.fused_layers.back() > layers) {
        found.push_back(
            {{"model.fused_layers", "model.kept_layers", "model.num_hidden_layers"},
             fmt::format("model.fused_layers names state {}, but {} layer{} kept; expected from 0, the "
                         "embeddings, to {}, the output of the last",
                         model.fused_layers.back(), layers, layers == 1 ? " is" : "s are", layers)});
    }
    if (train.frozen_layers > layers) {
        found.push_back({{"train.frozen_layers", "model.kept_layers", "model.num_hidden_layers"},
                         fmt::format("train.frozen_layers = {}, but {} layer{} kept; expected at most {}, or "
                                     "\"all\"",
                                     train.frozen_layers, layers, layers == 1 ? " is" : "s are", layers)});
    }
}

struct MaskedUnits {
    std::string field;  // of the mask
    const UnitMask& mask;
    std::int64_t layers = 0;
    std::int64_t units = 0;   // of a layer
    std::string units_field;  // that says so
    std::string words;        // for one unit
    std::string layers_are;   // which layers there are
};

void check_mask(const MaskedUnits& masked, std::vector<Contradiction>& found) {
    const auto& mask = masked.mask;
    for (const auto& unit : mask.units) {
        if (unit.layer >= masked.layers) {
            found.push_back(
                {{masked.field + ".units", "model.num_hidden_layers"},
                 fmt::format("{}.units names {} {}.{}, but {}; expected one of those layers", masked.field,
                             masked.words, unit.layer, unit.unit, masked.layers_are)});
            return;
        }
        if (unit.unit >= masked.units) {
            found.push_back(
                {{masked.field + ".units", masked.units_field},
                 fmt::format("{}.units names {} {}, but {} = {}; expected from 0 to {}", masked.field,
                             masked.words, unit.unit, masked.units_field, masked.units, masked.units - 1)});
            return;
        }
    }
    if (mask.share > 0 && masked_by_share(mask, masked.units) == 0) {
        found.push_back(
            {{masked.field + ".share", masked.units_field},
             fmt::format("{}.share = {:.6g} of {} = {} rounds to no {}; expected at least {:.6g}, "
                         "or 0",
                         masked.field, mask.share, masked.units_field, masked.units, masked.words,
                         0.5 / static_cast<double>(masked.units))});
    }
}

void check_masks(const ModelConfig& model, std::vector<Contradiction>& found) {
    check_mask({"model.attention_head_mask", model.attention_head_mask, model.num_hidden_layers,
                model.num_attention_heads, "model.num_attention_heads", "attention head", layers_of(model)},
               found);
    check_mask({"model.feed_forward_mask", model.feed_forward_mask, model.num_hidden_layers,
                model.intermediate_size, "model.intermediate_size", "neuron", layers_of(model)},
               found);
    if (model.head_width == 0) {
        return;
    }
    check_mask({"model.classifier_mask", model.classifier_mask, 1, model.head_width, "model.head_width",
                "unit", "the classifier has one hidden layer"},
               found);
    const auto& mask = model.classifier_mask;
    const auto masked =
        static_cast<std::int64_t>(mask.units.size()) + masked_by_share(mask, model.head_width);
    if (masked >= model.head_width) {
        found.push_back(
            {{"model.classifier_mask.units", "model.classifier_mask.share", "model.head_width"},
             fmt::format("model.classifier_mask leaves none of the model.head_width = {} units; expected "
                         "at least one, since a classifier without units reads nothing",
                         model.head_width)});
    }
}

void check_split_column(const DataConfig& data, std::vector<Contradiction>& found) {
    const auto& column = *data.split.column;
    if (column == data.label) {
        found.push_back({{"data.split.column", "data.label"},
                         "data.split.column and data.label are both '" + column +
                             "'; expected a column that says which part a row belongs to"});
    }
    if (std::find(data.features.begin(), data.features.end(), column) != data.features.end()) {
        found.push_back(
            {{"data.split.column", "data.features"},
             "data.split.column = '" + column +
                 "' is also one of data.features; expected another column, since the part of a row says "
                 "nothing of new data"});
    }
}

void forget_unused_choice(UnitMask& mask) {
    if (mask.share == 0) {
        mask.choice = UnitMask{}.choice;
    }
    if (mask.share == 0 || mask.choice != UnitChoice::random) {
        mask.seed = UnitMask{}.seed;
    }
}

void forget_units_outside(const std::vector<std::int64_t>& layers, UnitMask& mask) {
    std::erase_if(mask.units, [&](const ModelUnit& unit) {
        return std::find(layers.begin(), layers.end(), unit.layer) == layers.end();
    });
}

void forget_unused_parts(ModelConfig& model) {
    for (UnitMask* const mask :
         {&model.attention_head_mask, &model.feed_forward_mask, &model.classifier_mask}) {
        forget_unused_choice(*mask);
    }
    if (model.head_width == 0) {
        model.head_activation = ModelConfig{}.head_activation;
        model.classifier_mask = {};
    }
    const auto used = used_layers(model);
    forget_units_outside(used, model.attention_head_mask);
    forget_units_outside(used, model.feed_forward_mask);
    const auto layers = static_cast<std::int64_t>(kept_layers(model).size());
    if (layers == model.num_hidden_layers) {
        model.kept_layers.clear();
    }
    const auto states = read_states(model);
    if (states.size() == 1) {  // nothing to fuse
        model.layer_fusion = states.front() == layers ? LayerFusion::last : LayerFusion::mean;
    }
    const bool are_all = states.front() == 1 && static_cast<std::int64_t>(states.size()) == layers;
    if (model.layer_fusion == LayerFusion::last || are_all) {
        model.fused_layers.clear();
    }
}

}  // namespace

std::vector<Contradiction> find_contradictions(const JobConfig& config, int ranks) {
    std::vector<Contradiction> found;
    if (config.command) {
        return found;  // what its parameters mean, the command knows
    }
    const auto& data = config.data;
    const auto& tokenizer = config.tokenizer;
    const auto& model = config.model;
    const auto& train = config.train;

    if (model.hidden_size % model.num_attention_heads != 0) {
        found.push_back(
            {{"model.num_attention_heads", "model.hidden_size"},
             fmt::format("model.num_attention_heads = {} does not divide model.hidden_size = {}; expected "
                         "a divisor",
                         model.num_attention_heads, model.hidden_size)});
    }
    check_positions(config, found);
    check_windows(tokenizer, found);
    check_layers(model, train, found);
    check_masks(model, found);
    if (!tokenizer.vocabulary_sha256.empty() &&
        tokenizer.vocabulary_size != TokenizerConfig{}.vocabulary_size) {
        found.push_back(
            {{"tokenizer.vocabulary_size", "tokenizer.vocabulary"},
             "tokenizer.vocabulary and tokenizer.vocabulary_size contradict each other: a given vocabulary "
             "has its size; expected one of the two"});
    }
    const auto& split = data.split;
    if (split.column) {
        check_split_column(data, found);
    } else if (split.folds == 1) {
        found.push_back(
            {{"data.split.folds"},
             "data.split.folds = 1 would test all rows and train on none; expected at least 2, or "
             "0 for one split by the shares"});
    } else if (split.folds > 1 && split.train <= 0) {
        found.push_back(
            {{"data.split.validation", "data.split.folds"},
             fmt::format("data.split.validation = {:.6g} beside {} folds leaves nothing to train "
                         "on; expected below {:.6g}",
                         split.validation, split.folds, 1 - 1 / static_cast<double>(split.folds))});
    } else if (const double sum = split.train + split.validation + split.test; std::abs(sum - 1) > 1e-9) {
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
    if (config.command) {
        JobConfig used;
        used.command = std::move(config.command);
        return used;
    }
    auto& text = config.data.text;
    if (text.form == TextForm::quantile_words) {
        text.decimals = TextConfig{}.decimals;
    } else {
        text.quantiles = TextConfig{}.quantiles;
    }
    auto& split = config.data.split;
    if (split.folds == 0) {
        split.fold = SplitConfig{}.fold;
    }
    if (split.column) {
        SplitConfig used;
        used.column = split.column;
        used.group_by = split.group_by;
        used.seed = config.data.max_rows > 0 ? split.seed : used.seed;
        split = used;
    }
    forget_unused_parts(config.model);
    auto& tokenizer = config.tokenizer;
    if (!has_windows(tokenizer)) {
        tokenizer.window_length = TokenizerConfig{}.window_length;
        tokenizer.window_stride = TokenizerConfig{}.window_stride;
        config.model.window_pooling = ModelConfig{}.window_pooling;
    }
    auto& train = config.train;
    if (train.frozen_layers == static_cast<std::int64_t>(kept_layers(config.model).size())) {
        train.frozen_layers = kAllLayers;
    }
    if (train.frozen_embeddings && config.model.position_embeddings == PositionEmbeddings::frozen) {
        config.model.position_embeddings = PositionEmbeddings::learned;
    }
    return config;
}

}  // namespace orchestrate
