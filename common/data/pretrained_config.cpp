#include "common/data/pretrained_config.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "common/base/error.h"
#include "common/base/sha256.h"
#include "common/base/strict_json.h"
#include "common/job/positions.h"

namespace orchestrate {
namespace {

constexpr std::int64_t kMax = 100'000'000;  // of any size: what is above is a damaged file

// Keys that do not change what an encoder computes for a text: descriptions, other tasks, text generation.
const std::set<std::string>& ignored_keys() {
    static const std::set<std::string> kKeys = {"_name_or_path",
                                                "architectures",
                                                "attn_implementation",
                                                "_attn_implementation_autoset",
                                                "bad_words_ids",
                                                "begin_suppress_tokens",
                                                "bos_token_id",
                                                "chunk_size_feed_forward",
                                                "cls_token_id",
                                                "cross_attention_hidden_size",
                                                "decoder_start_token_id",
                                                "directionality",
                                                "diversity_penalty",
                                                "do_sample",
                                                "dtype",
                                                "early_stopping",
                                                "encoder_no_repeat_ngram_size",
                                                "eos_token_id",
                                                "eos_token_ids",
                                                "exponential_decay_length_penalty",
                                                "finetuning_task",
                                                "forced_bos_token_id",
                                                "forced_eos_token_id",
                                                "gradient_checkpointing",
                                                "label2id",
                                                "language",
                                                "length_penalty",
                                                "mask_token_id",
                                                "max_length",
                                                "min_length",
                                                "model_max_length",
                                                "name",
                                                "no_repeat_ngram_size",
                                                "num_beam_groups",
                                                "num_beams",
                                                "num_labels",
                                                "num_return_sequences",
                                                "output_attentions",
                                                "output_hidden_states",
                                                "output_past",
                                                "output_scores",
                                                "pooler_fc_size",
                                                "pooler_num_attention_heads",
                                                "pooler_num_fc_layers",
                                                "pooler_size_per_head",
                                                "pooler_type",
                                                "prefix",
                                                "problem_type",
                                                "remove_invalid_values",
                                                "repetition_penalty",
                                                "return_dict",
                                                "return_dict_in_generate",
                                                "sep_token_id",
                                                "suppress_tokens",
                                                "task_specific_params",
                                                "temperature",
                                                "tf_legacy_loss",
                                                "tie_encoder_decoder",
                                                "tie_word_embeddings",
                                                "tokenizer_class",
                                                "top_k",
                                                "top_p",
                                                "torch_dtype",
                                                "torchscript",
                                                "transformers_version",
                                                "typical_p",
                                                "unk_token_id",
                                                "use_bfloat16",
                                                "use_cache"};
    return kKeys;
}

class ConfigReader {
  public:
    explicit ConfigReader(const std::filesystem::path& path) : path_(path), json_(read_strict_json(path)) {}

    PretrainedConfig read() {
        PretrainedConfig config;
        ModelConfig& model = config.model;
        model.model_type = model_type();
        const bool is_roberta = model.model_type == ModelType::roberta;
        model.hidden_size = integer("hidden_size", 1);
        model.num_hidden_layers = integer("num_hidden_layers", 1);
        model.num_attention_heads = integer("num_attention_heads", 1);
        if (model.hidden_size % model.num_attention_heads != 0) {
            fail("num_attention_heads",
                 "is " + std::to_string(model.num_attention_heads) +
                     ", expected a divisor of hidden_size = " + std::to_string(model.hidden_size));
        }
        model.intermediate_size = integer("intermediate_size", 1);
        model.max_position_embeddings = integer("max_position_embeddings", 1);
        config.vocabulary_size = integer("vocab_size", 1);
        config.token_types = integer("type_vocab_size", 1, 2);
        config.pad_token = integer("pad_token_id", 0, is_roberta ? 1 : 0);
        if (config.pad_token >= config.vocabulary_size) {
            fail("pad_token_id",
                 "is " + std::to_string(config.pad_token) +
                     ", expected less than vocab_size = " + std::to_string(config.vocabulary_size));
        }
        if (first_position(model.model_type, config.pad_token) >= model.max_position_embeddings) {
            fail("max_position_embeddings", "is " + std::to_string(model.max_position_embeddings) +
                                                ", which leaves no position for a token");
        }
        // The defaults of transformers, for keys that old files lack.
        model.layer_norm_eps = number("layer_norm_eps", 1e-12);
        model.initializer_range = number("initializer_range", 0.02);
        model.hidden_dropout_prob = probability("hidden_dropout_prob", 0.1);
        model.attention_probs_dropout_prob = probability("attention_probs_dropout_prob", 0.1);
        model.classifier_dropout = probability("classifier_dropout", model.hidden_dropout_prob);
        model.head_width = model.hidden_size;
        model.head_activation = Activation::tanh;
        read_own_head(model);
        config.classes = classes();
        check_fixed("hidden_act", {"gelu", "gelu_python"});
        check_fixed("position_embedding_type", {"absolute"});
        check_fixed("is_decoder", {false});
        check_fixed("is_encoder_decoder", {false});
        check_fixed("add_cross_attention", {false});
        check_fixed("pruned_heads", {Json::object()});
        check_fixed("quantization_config", {});
        check_unknown();
        return config;
    }

  private:
    [[noreturn]] void fail(const std::string& key, const std::string& what) const {
        throw UserError("'" + path_.string() + "': " + key + " " + what);
    }

    // Null is as good as absent, as in transformers.
    const Json* find(const std::string& key) {
        known_.insert(key);
        const auto found = json_.find(key);
        return found == json_.end() || found->is_null() ? nullptr : &*found;
    }

    ModelType model_type() {
        const Json* const found = find("model_type");
        if (found == nullptr) {
            fail("model_type", "is missing; expected \"roberta\" or \"bert\"");
        }
        const auto type =
            found->is_string() ? enum_from_name<ModelType>(found->get<std::string>()) : std::nullopt;
        if (!type) {
            fail("model_type", "is " + found->dump() + ", expected \"roberta\" or \"bert\"");
        }
        return *type;
    }

    std::int64_t integer(const std::string& key, std::int64_t least,
                         std::optional<std::int64_t> fallback = {}) {
        const Json* const found = find(key);
        if (found == nullptr) {
            return fallback ? *fallback : missing(key);
        }
        if (!found->is_number_integer() || found->get<double>() < static_cast<double>(least) ||
            found->get<double>() > static_cast<double>(kMax)) {
            fail(key, "is " + found->dump() + ", expected an integer from " + std::to_string(least) + " to " +
                          std::to_string(kMax));
        }
        return found->get<std::int64_t>();
    }

    [[noreturn]] std::int64_t missing(const std::string& key) const {
        fail(key, "is missing; expected an integer");
    }

    double number(const std::string& key, double fallback) {
        const Json* const found = find(key);
        if (found == nullptr) {
            return fallback;
        }
        if (!found->is_number() || !(found->get<double>() > 0) || !std::isfinite(found->get<double>())) {
            fail(key, "is " + found->dump() + ", expected a number above 0");
        }
        return found->get<double>();
    }

    double probability(const std::string& key, double fallback) {
        const Json* const found = find(key);
        if (found == nullptr) {
            return fallback;
        }
        if (!found->is_number() || !(found->get<double>() >= 0 && found->get<double>() < 1)) {
            fail(key, "is " + found->dump() + ", expected a number from 0 to below 1");
        }
        return found->get<double>();
    }

    void check_fixed(const std::string& key, const std::vector<Json>& honoured) {
        const Json* const found = find(key);
        if (found == nullptr || std::find(honoured.begin(), honoured.end(), *found) != honoured.end()) {
            return;
        }
        fail(key, "is " + found->dump() + ", which is not supported; expected " +
                      (honoured.empty() ? std::string("none") : honoured.front().dump()));
    }

    std::vector<std::string> classes() {
        const Json* const labels = find("id2label");
        if (labels == nullptr) {
            return {};
        }
        std::vector<std::string> names;
        bool is_generic = true;
        for (std::size_t id = 0; labels->is_object() && id < labels->size(); ++id) {
            const auto found = labels->find(std::to_string(id));
            if (found == labels->end() || !found->is_string()) {
                break;
            }
            names.push_back(found->get<std::string>());
            is_generic = is_generic && names.back() == "LABEL_" + std::to_string(id);
        }
        if (!labels->is_object() || names.size() != labels->size()) {
            fail("id2label", "is no object of texts with the keys \"0\", \"1\", ...");
        }
        return is_generic ? std::vector<std::string>{} : names;
    }

    // What this program wrote about a head that transformers has no class for.
    void read_own_head(ModelConfig& model) {
        const Json* const own = find("orchestrate");
        if (own == nullptr) {
            return;
        }
        if (!own->is_object()) {
            fail("orchestrate", "is " + own->dump() + ", expected an object");
        }
        static const std::set<std::string> kKeys = {"head_width", "head_activation", "layer_fusion",
                                                    "fused_layers", "pooling"};
        for (const auto& [key, value] : own->items()) {
            if (!kKeys.contains(key)) {
                fail("orchestrate." + key, "is not understood by this version");
            }
        }
        try {
            own->get_to(model);
        } catch (const std::exception& error) {
            fail("orchestrate", std::string("is unfit: ") + error.what());
        }
        if (model.head_width < 0 || model.head_width > kMax) {
            fail("orchestrate.head_width",
                 "is " + std::to_string(model.head_width) + ", expected at least 0");
        }
    }

    void check_unknown() const {
        for (const auto& [key, value] : json_.items()) {
            if (!known_.contains(key) && !ignored_keys().contains(key)) {
                fail(key,
                     "is not understood; it may change what the model computes (take it out of the file if "
                     "it does not)");
            }
        }
    }

    std::filesystem::path path_;
    Json json_;
    std::set<std::string> known_;
};

WeightFiles sharded(const std::filesystem::path& index) {
    const auto fail = [&](const std::string& what) { throw UserError("'" + index.string() + "': " + what); };
    const Json json = read_strict_json(index);
    const auto map = json.find("weight_map");
    if (map == json.end() || !map->is_object() || map->empty()) {
        fail("has no weight_map that says which file each tensor is in");
    }
    WeightFiles weights;
    weights.index = index;
    std::set<std::string> names;
    for (const auto& [tensor, file] : map->items()) {
        if (!file.is_string()) {
            fail("weight_map: '" + tensor + "' is " + file.dump() + ", expected the name of a file");
        }
        const auto name = file.get<std::string>();
        if (name.empty() || name != std::filesystem::path(name).filename().string() || name == "..") {
            fail(
                fmt::format("weight_map: '{}' is in '{}', expected a file in the same folder", tensor, name));
        }
        weights.file_of_tensor.emplace_back(tensor, index.parent_path() / name);
        if (names.insert(name).second) {
            weights.files.push_back(index.parent_path() / name);
        }
    }
    for (const auto& file : weights.files) {
        if (!std::filesystem::exists(file)) {
            fail("names '" + file.filename().string() + "', which does not exist");
        }
    }
    std::sort(weights.files.begin(), weights.files.end());
    return weights;
}

}  // namespace

PretrainedConfig read_pretrained_config(const std::filesystem::path& folder) {
    if (!std::filesystem::is_directory(folder)) {
        throw UserError(
            "'" + folder.string() +
            "' is no folder that can be read; expected one with config.json and model.safetensors");
    }
    return ConfigReader(folder / "config.json").read();
}

WeightFiles find_weight_files(const std::filesystem::path& folder) {
    const auto single = folder / "model.safetensors";
    const auto index = folder / "model.safetensors.index.json";
    const bool has_single = std::filesystem::exists(single);
    const bool has_index = std::filesystem::exists(index);
    if (has_single && has_index) {
        throw UserError("'" + folder.string() +
                        "' holds both model.safetensors and model.safetensors.index.json; "
                        "expected one of them");
    }
    if (has_index) {
        return sharded(index);
    }
    if (!has_single) {
        throw UserError("'" + folder.string() +
                        "' holds neither model.safetensors nor model.safetensors.index.json" +
                        (std::filesystem::exists(folder / "pytorch_model.bin")
                             ? "; pytorch_model.bin is not read: load it with transformers and save it again"
                             : ""));
    }
    WeightFiles weights;
    weights.files = {single};
    return weights;
}

std::string sha256_hex_of_pretrained(const std::filesystem::path& folder) {
    const WeightFiles weights = find_weight_files(folder);
    std::vector<std::filesystem::path> files = {folder / "config.json"};
    if (!weights.index.empty()) {
        files.push_back(weights.index);
    }
    files.insert(files.end(), weights.files.begin(), weights.files.end());
    Sha256 hasher;
    for (const auto& file : files) {
        const std::string name = file.filename().string();
        hasher.add(name.c_str(), name.size() + 1);
        hasher.add_file(file);
    }
    return hasher.hex();
}

}  // namespace orchestrate
