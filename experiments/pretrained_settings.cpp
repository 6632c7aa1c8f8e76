#include "experiments/pretrained_settings.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "common/base/error.h"
#include "common/data/pretrained_config.h"
#include "common/data/vocabulary.h"
#include "experiments/fields/field_kinds.h"

namespace orchestrate {
namespace {

constexpr const char* kField = "model.pretrained";

// Fields that are a property of the weights; others may be set beside them.
const std::set<std::string>& resolved_fields() {
    static const std::set<std::string> kFields = {"model.model_type",        "model.hidden_size",
                                                  "model.num_hidden_layers", "model.num_attention_heads",
                                                  "model.intermediate_size", "model.max_position_embeddings"};
    return kFields;
}

class PretrainedResolver {
  public:
    PretrainedResolver(Settings& settings, const GivenFields& given, Diagnostics& diagnostics)
        : settings_(settings),
          folder_(settings.paths.pretrained),
          given_(given),
          where_(given.at(kField).where),
          diagnostics_(diagnostics) {}

    void resolve() {
        try {
            config_ = read_pretrained_config(folder_);
            settings_.pretrained_sha256 = sha256_hex_of_pretrained(folder_);
        } catch (const UserError& error) {
            diagnostics_.error(where_, error.what());
            return;
        }
        ModelConfig& model = settings_.job.model;
        model.pretrained_sha256 = settings_.pretrained_sha256;
        resolve_size("model.model_type", &ModelConfig::model_type);
        resolve_size("model.hidden_size", &ModelConfig::hidden_size);
        resolve_size("model.num_hidden_layers", &ModelConfig::num_hidden_layers);
        resolve_size("model.num_attention_heads", &ModelConfig::num_attention_heads);
        resolve_size("model.intermediate_size", &ModelConfig::intermediate_size);
        resolve_size("model.max_position_embeddings", &ModelConfig::max_position_embeddings);
        take("model.layer_norm_eps", &ModelConfig::layer_norm_eps);
        take("model.initializer_range", &ModelConfig::initializer_range);
        take("model.hidden_dropout_prob", &ModelConfig::hidden_dropout_prob);
        take("model.attention_probs_dropout_prob", &ModelConfig::attention_probs_dropout_prob);
        take("model.classifier_dropout", &ModelConfig::classifier_dropout);
        take("model.head_width", &ModelConfig::head_width);
        take("model.head_activation", &ModelConfig::head_activation);
        take("model.layer_fusion", &ModelConfig::layer_fusion);
        take("model.fused_layers", &ModelConfig::fused_layers);
        take("model.pooling", &ModelConfig::pooling);
        resolve_vocabulary();
    }

  private:
    template <class T>
    void resolve_size(const std::string& field, T ModelConfig::*member) {
        const auto found = given_.find(field);
        const T& expected = config_.model.*member;
        if (found != given_.end() && settings_.job.model.*member != expected) {
            diagnostics_.error(
                found->second.where,
                fmt::format("{} is {}, but '{}/config.json' says {}; expected the same, or the field "
                            "left out",
                            field, Json(settings_.job.model.*member).dump(), folder_, Json(expected).dump()));
        }
        settings_.job.model.*member = expected;
    }

    template <class T>
    void take(const std::string& field, T ModelConfig::*member) {
        if (!given_.contains(field)) {
            settings_.job.model.*member = config_.model.*member;
        }
    }

    // Of the same folder, unless the file names another one.
    void resolve_vocabulary() {
        const auto named = given_.find("tokenizer.vocabulary");
        const SourceSpan& where = named != given_.end() ? named->second.where : where_;
        TokenizerConfig& tokenizer = settings_.job.tokenizer;
        try {
            if (named == given_.end()) {
                tokenizer.kind = vocabulary_kind(folder_);
                tokenizer.vocabulary_sha256 = sha256_hex_of_vocabulary(folder_);
                settings_.paths.vocabulary = folder_;
            } else if (tokenizer.vocabulary_sha256.empty()) {
                return;  // reported
            }
            const std::int64_t tokens = vocabulary_size(settings_.paths.vocabulary);
            if (tokens > config_.vocabulary_size) {
                diagnostics_.error(
                    where, fmt::format("the vocabulary in '{}' has {} tokens, but '{}/config.json' says "
                                       "vocab_size = {}; expected the vocabulary of that model",
                                       settings_.paths.vocabulary, tokens, folder_, config_.vocabulary_size));
            }
        } catch (const UserError& error) {
            diagnostics_.error(
                where, std::string(error.what()) +
                           (named == given_.end() ? "; tokenizer.vocabulary may name another one" : ""));
        }
    }

    Settings& settings_;
    const std::string folder_;
    const GivenFields& given_;
    const SourceSpan& where_;
    Diagnostics& diagnostics_;
    PretrainedConfig config_;
};

void report_change(const Field& field, const SourceSpan& where, Diagnostics& diagnostics) {
    diagnostics.error(where, field.path +
                                 " is that of the weights in model.pretrained; expected no change of it, or "
                                 "model.pretrained = \"none\" beside it");
}

bool leaves_weights(const Alternative& alternative) {
    return std::any_of(alternative.edits.begin(), alternative.edits.end(), [](const Edit& edit) {
        return edit.kind == Edit::Kind::set && edit.field->path == kField && edit.value.as_text() &&
               *edit.value.as_text() == "none";
    });
}

// Whatever the factor is crossed with then is a model from scratch.
bool always_leaves_weights(const Factor& factor) {
    return !factor.alternatives.empty() &&
           std::all_of(factor.alternatives.begin(), factor.alternatives.end(), leaves_weights);
}

void report_changes(const Alternative& alternative, Diagnostics& diagnostics) {
    for (const auto& edit : alternative.edits) {
        if (edit.kind == Edit::Kind::set && resolved_fields().contains(edit.field->path)) {
            report_change(*edit.field, edit.where, diagnostics);
        }
    }
}

}  // namespace

void resolve_pretrained(Settings& settings, const GivenFields& given, Diagnostics& diagnostics) {
    if (given.contains(kField) && !settings.paths.pretrained.empty()) {
        PretrainedResolver(settings, given, diagnostics).resolve();
    }
    settings.pretrained_is_resolved = true;
}

void check_pretrained_changes(const Settings& settings, const std::vector<Distribution>& space,
                              const std::vector<AblationEntry>& ablations, Diagnostics& diagnostics) {
    if (settings.job.model.pretrained_sha256.empty()) {
        return;
    }
    for (const auto& distribution : space) {
        if (resolved_fields().contains(distribution.field->path)) {
            report_change(*distribution.field, distribution.where, diagnostics);
        }
    }
    for (const auto& entry : ablations) {
        if (std::any_of(entry.factors.begin(), entry.factors.end(), always_leaves_weights)) {
            continue;
        }
        for (const auto& factor : entry.factors) {
            for (const auto& alternative : factor.alternatives) {
                if (!leaves_weights(alternative)) {
                    report_changes(alternative, diagnostics);
                }
            }
        }
    }
}

}  // namespace orchestrate
