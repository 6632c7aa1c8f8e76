#include "worker/training/loop/training_checks.h"

#include <string>

#include "common/base/error.h"
#include "common/job/used_layers.h"
#include "worker/training/model/parameters.h"

namespace orchestrate {

namespace {

void check_data(const PreparedData& data) {
    if (data.classes.size() < 2) {
        throw UserError("the data has " + std::to_string(data.classes.size()) +
                        " class(es); classification needs at least 2 (data.classes)");
    }
    if (data.train.rows() == 0) {
        throw UserError("the training part is empty; raise data.split.train or the number of rows");
    }
}

void check_model(const ModelConfig& model) {
    if (model.num_attention_heads < 1 || model.hidden_size % model.num_attention_heads != 0) {
        throw UserError(
            "model.hidden_size = " + std::to_string(model.hidden_size) +
            " is no multiple of model.num_attention_heads = " + std::to_string(model.num_attention_heads));
    }
    if (model.hidden_size < 1 || model.num_hidden_layers < 1 || model.intermediate_size < 1 ||
        model.head_width < 0) {
        throw UserError(
            "model.hidden_size, num_hidden_layers and intermediate_size must be at least 1, head_width at "
            "least 0");
    }
    for (const double probability :
         {model.hidden_dropout_prob, model.attention_probs_dropout_prob, model.classifier_dropout}) {
        if (!(probability >= 0.0 && probability < 1.0)) {
            throw UserError("a dropout probability of the model is " + std::to_string(probability) +
                            "; it must be at least 0 and below 1");
        }
    }
}

// Where the longest text stands.
std::string place_of_longest(const PreparedData& data) {
    for (const PreparedPart* const part : {&data.train, &data.validation, &data.test}) {
        for (std::int64_t row = 0; row < part->rows(); ++row) {
            if (part->length(row) == data.report.longest_text_tokens) {
                return "line " + std::to_string(part->line[static_cast<std::size_t>(row)]) + " of '" +
                       data.file + "'";
            }
        }
    }
    return "some line of '" + data.file + "'";
}

void check_windows(const TextWindows& windows) {
    constexpr std::int64_t kSpecialTokens = 2;
    if (windows.length != 0 && (windows.stride < 1 || windows.length - kSpecialTokens < windows.stride)) {
        throw UserError("tokenizer.window_stride = " + std::to_string(windows.stride) +
                        " does not fit tokenizer.window_length = " + std::to_string(windows.length) +
                        "; expected from 1 to the window's length without its two special tokens");
    }
}

void check_lengths(const ModelConfig& model, const TextWindows& windows, const PreparedData& data) {
    if (model.position_embeddings == PositionEmbeddings::none) {
        return;
    }
    const std::int64_t positions =
        model.max_position_embeddings - first_position(model.model_type, data.special.pad);
    const std::int64_t tokens = windows.longest(data.report.longest_text_tokens);
    if (tokens > positions) {
        const bool has_windows = tokens < data.report.longest_text_tokens;
        throw UserError(
            (has_windows ? std::string("a window of the text") : std::string("the text")) + " of " +
            place_of_longest(data) + " has " + std::to_string(tokens) +
            " tokens, but model.max_position_embeddings = " + std::to_string(model.max_position_embeddings) +
            " allows " + std::to_string(positions) + "; lower tokenizer." +
            (has_windows ? "window_length" : "max_length") + " or raise it");
    }
}

// Units, layers and states that a model names must be there; the study's checks have more words for it.
void check_ablations(const ModelConfig& model, const TrainConfig& train) {
    const auto fail = [](const std::string& field, std::int64_t found, std::int64_t most) {
        throw UserError(field + " names " + std::to_string(found) + "; the model has only 0 to " +
                        std::to_string(most));
    };
    const auto check_mask = [&](const std::string& field, const UnitMask& mask, std::int64_t layers,
                                std::int64_t units) {
        for (const ModelUnit& unit : mask.units) {
            if (unit.layer < 0 || unit.layer >= layers) {
                fail(field + ".units: a layer", unit.layer, layers - 1);
            }
            if (unit.unit < 0 || unit.unit >= units) {
                fail(field + ".units", unit.unit, units - 1);
            }
        }
        if (!(mask.share >= 0 && mask.share < 1)) {
            throw UserError(field + ".share = " + std::to_string(mask.share) +
                            "; it must be at least 0 and below 1");
        }
    };
    const auto check_ascending = [&](const std::string& field, const std::vector<std::int64_t>& numbers,
                                     std::int64_t most) {
        std::int64_t least = 0;
        for (const std::int64_t number : numbers) {
            if (number < least || number > most) {
                fail(field + " (ascending)", number, most);
            }
            least = number + 1;
        }
    };
    check_ascending("model.kept_layers", model.kept_layers, model.num_hidden_layers - 1);
    const auto layers = static_cast<std::int64_t>(kept_layers(model).size());
    if (model.layer_fusion != LayerFusion::last) {
        check_ascending("model.fused_layers", model.fused_layers, layers);
    }
    if (train.frozen_layers > layers) {
        fail("train.frozen_layers", train.frozen_layers, layers);
    }
    check_mask("model.attention_head_mask", model.attention_head_mask, model.num_hidden_layers,
               model.num_attention_heads);
    check_mask("model.feed_forward_mask", model.feed_forward_mask, model.num_hidden_layers,
               model.intermediate_size);
    if (model.head_width > 0) {
        check_mask("model.classifier_mask", model.classifier_mask, 1, model.head_width);
    }
}

void check_training(const TrainConfig& train, const PreparedData& data) {
    if (train.batch_size < 1 || train.epochs < 1) {
        throw UserError("train.batch_size and train.epochs must be at least 1");
    }
    if (!(train.label_smoothing >= 0 && train.label_smoothing < 1)) {
        throw UserError("train.label_smoothing = " + std::to_string(train.label_smoothing) +
                        " must be at least 0 and below 1");
    }
    if (train.early_stopping_patience > 0 && data.validation.rows() == 0) {
        throw UserError("train.early_stopping_patience = " + std::to_string(train.early_stopping_patience) +
                        " waits for a better epoch, but there are no validation rows to compare epochs by; "
                        "raise data.split.validation or set it to 0");
    }
}

}  // namespace

void check_pretrained(const ModelConfig& model, const PreparedData& data,
                      const PretrainedConfig& pretrained) {
    const auto check = [](const std::string& field, const auto& found, const auto& expected) {
        if (found != expected) {
            throw UserError("model." + field + " is " + Json(found).dump() +
                            ", but the config.json of the pretrained weights says " + Json(expected).dump());
        }
    };
    check("model_type", model.model_type, pretrained.model.model_type);
    check("hidden_size", model.hidden_size, pretrained.model.hidden_size);
    check("num_hidden_layers", model.num_hidden_layers, pretrained.model.num_hidden_layers);
    check("num_attention_heads", model.num_attention_heads, pretrained.model.num_attention_heads);
    check("intermediate_size", model.intermediate_size, pretrained.model.intermediate_size);
    check("max_position_embeddings", model.max_position_embeddings, pretrained.model.max_position_embeddings);
    if (data.vocabulary_size > pretrained.vocabulary_size) {
        throw UserError("the vocabulary has " + std::to_string(data.vocabulary_size) +
                        " tokens, but the config.json of the pretrained weights says vocab_size = " +
                        std::to_string(pretrained.vocabulary_size) +
                        "; expected the vocabulary of that model");
    }
    if (data.special.pad != pretrained.pad_token) {
        throw UserError("the vocabulary's padding token has the id " + std::to_string(data.special.pad) +
                        ", but the config.json of the pretrained weights says pad_token_id = " +
                        std::to_string(pretrained.pad_token) + "; expected the vocabulary of that model");
    }
}

void check_configuration(const JobConfig& config, const PreparedData& data) {
    check_data(data);
    check_model(config.model);
    check_windows(TextWindows::of(config.tokenizer));
    check_lengths(config.model, TextWindows::of(config.tokenizer), data);
    check_ablations(config.model, config.train);
    check_training(config.train, data);
}

void check_device(const JobConfig& config, const TrainingDevice& device) {
    if (config.train.precision == Precision::bf16 && !device.computes_bf16) {
        throw UserError("train.precision = \"bf16\" cannot be trained by this worker, whose device is \"" +
                        device.device_class +
                        "\"; expected a CPU with AVX512_BF16 or a GPU of compute capability 8.0 or later, or "
                        "\"fp32\"");
    }
}

}  // namespace orchestrate
