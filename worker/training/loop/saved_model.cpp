#include "worker/training/loop/saved_model.h"

#include <map>
#include <system_error>
#include <utility>

#include <ATen/ATen.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/host.h"
#include "common/job/used_layers.h"
#include "worker/training/loop/training_plan.h"
#include "worker/training/model/pretrained_parameters.h"
#include "worker/training/model/whole_model.h"
#include "worker/training/support/safetensors.h"

namespace orchestrate {
namespace {

using Tensors = std::map<std::string, at::Tensor>;  // on the CPU, contiguous

PretrainedConfig whole_config(const ModelToSave& in) {
    const ModelDimensions& dimensions = in.parameters.dimensions();
    PretrainedConfig config;
    config.model = in.config.model;
    config.model.num_hidden_layers = static_cast<std::int64_t>(used_layers(in.config.model).size());
    config.vocabulary_size = dimensions.vocabulary_size;
    config.token_types = dimensions.token_types;
    config.pad_token = dimensions.pad_token;
    config.classes = in.data.classes;
    return config;
}

Json config_json(const PretrainedConfig& config, const SpecialTokens& special) {
    const ModelConfig& model = config.model;
    const bool is_roberta = model.model_type == ModelType::roberta;
    const bool has_known_head = is_hugging_face_head(model);
    Json labels = Json::object();
    Json ids = Json::object();
    for (std::size_t id = 0; id < config.classes.size(); ++id) {
        labels[std::to_string(id)] = config.classes[id];
        ids[config.classes[id]] = id;
    }
    const std::string name = is_roberta ? "Roberta" : "Bert";
    Json json = {{"architectures", {name + (has_known_head ? "ForSequenceClassification" : "Model")}},
                 {"model_type", to_string(model.model_type)},
                 {"hidden_size", model.hidden_size},
                 {"num_hidden_layers", model.num_hidden_layers},
                 {"num_attention_heads", model.num_attention_heads},
                 {"intermediate_size", model.intermediate_size},
                 {"max_position_embeddings", model.max_position_embeddings},
                 {"vocab_size", config.vocabulary_size},
                 {"type_vocab_size", config.token_types},
                 {"pad_token_id", config.pad_token},
                 {"bos_token_id", special.bos},
                 {"eos_token_id", special.eos},
                 {"hidden_act", "gelu"},
                 {"hidden_dropout_prob", model.hidden_dropout_prob},
                 {"attention_probs_dropout_prob", model.attention_probs_dropout_prob},
                 {"classifier_dropout", model.classifier_dropout},
                 {"layer_norm_eps", model.layer_norm_eps},
                 {"initializer_range", model.initializer_range},
                 {"problem_type", "single_label_classification"},
                 {"dtype", "float32"},
                 {"id2label", labels},
                 {"label2id", ids}};
    if (!has_known_head) {
        json["orchestrate"] = {{"head_width", model.head_width},
                               {"head_activation", model.head_activation},
                               {"layer_fusion", model.layer_fusion},
                               {"fused_layers", model.fused_layers},
                               {"pooling", model.pooling}};
    }
    return json;
}

// Embeddings of the whole vocabulary and of all positions, as they were before training.
Tensors initial_embeddings(const ModelToSave& in) {
    const ModelDimensions& trained = in.parameters.dimensions();
    const ParameterNames names = ParameterNames::of(in.config.model.model_type);
    if (in.pretrained != nullptr) {
        Tensors tensors;
        for (const auto& name : {names.word_embeddings(), names.position_embeddings()}) {
            const WeightTensor& stored = in.pretrained->tensors.at(name);
            tensors[name] = at::tensor(at::ArrayRef<float>(stored.values)).view(stored.shape);
        }
        return tensors;
    }
    ModelDimensions whole;
    whole.config = ModelConfig{};
    whole.config.model_type = trained.config.model_type;
    whole.config.hidden_size = trained.config.hidden_size;
    whole.config.initializer_range = trained.config.initializer_range;
    whole.config.num_hidden_layers = 1;
    whole.config.intermediate_size = 1;
    whole.config.head_width = 0;
    whole.classes = 1;
    whole.vocabulary_size = trained.vocabulary_size;
    whole.vocabulary_rows = CompactVocabulary::all(trained.vocabulary_size).original_id;
    whole.pad_token = trained.pad_token;
    whole.positions = trained.config.max_position_embeddings - trained.first_position();
    Parameters parameters(whole, at::kCPU);
    parameters.initialize(in.config.seed.initialization);
    const at::Tensor no_positions = at::zeros({trained.first_position(), trained.config.hidden_size});
    const at::NoGradGuard no_gradients;
    return {{names.word_embeddings(), parameters.leaf(names.word_embeddings()).clone()},
            {names.position_embeddings(),
             at::cat({no_positions, parameters.leaf(names.position_embeddings())}).contiguous()}};
}

// A model that keeps some of its layers numbers them anew.
std::string saved_name(const ModelConfig& model, const std::string& name) {
    const ParameterNames names = ParameterNames::of(model.model_type);
    const auto layers = used_layers(model);
    for (std::size_t place = 0; place < layers.size(); ++place) {
        const std::string prefix = names.layer(layers[place]);
        if (name.starts_with(prefix)) {
            return names.layer(static_cast<std::int64_t>(place)) + name.substr(prefix.size());
        }
    }
    return name;
}

// A product with a masked unit's output is 0: so are the weights that it is multiplied with.
void zero_columns(at::Tensor& weight, const std::vector<char>& masked, std::int64_t columns_of_unit) {
    for (std::size_t unit = 0; unit < masked.size(); ++unit) {
        if (masked[unit] != 0) {
            weight.narrow(1, static_cast<std::int64_t>(unit) * columns_of_unit, columns_of_unit).zero_();
        }
    }
}

void fold_masks(const ModelToSave& in, Tensors& tensors) {
    const ModelConfig& model = in.config.model;
    const ParameterNames names = ParameterNames::of(model.model_type);
    const auto fold = [&](const std::string& name, const std::vector<char>& masked, std::int64_t columns) {
        at::Tensor& weight = tensors.at(name);
        weight = weight.clone();
        zero_columns(weight, masked, columns);
    };
    for (std::size_t layer = 0; layer < in.masked.heads.size(); ++layer) {
        const std::string prefix = names.layer(static_cast<std::int64_t>(layer));
        fold(prefix + "attention.output.dense.weight", in.masked.heads[layer],
             model.hidden_size / model.num_attention_heads);
        fold(prefix + "output.dense.weight", in.masked.neurons[layer], 1);
    }
    for (const auto& masked : in.masked.classifier) {
        const std::string output = names.output + ".weight";
        fold(is_hugging_face_head(model) ? output : "orchestrate." + output, masked, 1);
    }
}

Tensors whole_tensors(const ModelToSave& in) {
    const at::NoGradGuard no_gradients;
    const ModelDimensions& dimensions = in.parameters.dimensions();
    const ModelConfig& model = in.config.model;
    const ParameterNames names = ParameterNames::of(model.model_type);
    Tensors tensors = initial_embeddings(in);
    const bool has_positions = model.position_embeddings != PositionEmbeddings::none;
    if (!has_positions) {
        tensors[names.position_embeddings()].zero_();  // left out of the sum
    }
    if (!in.config.train.frozen_embeddings) {
        decay_unused(tensors[names.word_embeddings()], in.config.train, in.steps_done, in.steps);
        if (model.position_embeddings == PositionEmbeddings::learned) {
            decay_unused(tensors[names.position_embeddings()], in.config.train, in.steps_done, in.steps);
        }
    }
    const bool has_known_head = is_hugging_face_head(model);
    for (const Parameter& parameter : in.parameters.list()) {
        const at::Tensor value = in.parameters.value(parameter).to(at::kCPU).contiguous();
        if (parameter.name == names.word_embeddings()) {
            const at::Tensor rows = at::tensor(at::ArrayRef<std::int64_t>(dimensions.vocabulary_rows));
            tensors[parameter.name].index_copy_(0, rows, value);
        } else if (parameter.name == names.position_embeddings()) {
            tensors[parameter.name].narrow(0, dimensions.first_position(), dimensions.positions).copy_(value);
        } else {
            const bool is_encoder =
                parameter.name.starts_with(names.encoder) && !parameter.name.starts_with(names.hidden + ".");
            tensors[(is_encoder || has_known_head ? "" : "orchestrate.") +
                    saved_name(model, parameter.name)] = value;
        }
    }
    fold_masks(in, tensors);
    return tensors;
}

void write_text(DurableFiles& files, const std::filesystem::path& path, const std::string& text) {
    const std::span<const std::byte> bytes = std::as_bytes(std::span(text));
    write_durably(files, path, {&bytes, 1});
}

// What wrote them did not bring them to disk.
void rewrite_durably(DurableFiles& files, const std::filesystem::path& path) {
    const std::vector<std::byte> bytes = files.read(path);
    const std::span<const std::byte> piece = bytes;
    write_durably(files, path, {&piece, 1});
}

std::int64_t write_weights(DurableFiles& files, const std::filesystem::path& path, const Tensors& tensors) {
    std::vector<TensorPiece> pieces;
    for (const auto& [name, tensor] : tensors) {
        const auto* const begin = static_cast<const std::byte*>(tensor.const_data_ptr());
        pieces.push_back({name, "F32", tensor.sizes().vec(), {begin, tensor.nbytes()}});
    }
    const std::vector<std::byte> head = safetensors_head(pieces);
    std::vector<std::span<const std::byte>> parts = {head};
    std::size_t bytes = head.size();
    for (const auto& piece : pieces) {
        parts.push_back(piece.bytes);
        bytes += piece.bytes.size();
    }
    write_durably(files, path, parts);
    return static_cast<std::int64_t>(bytes);
}

void remove_folder(DurableFiles& files, const std::filesystem::path& folder) {
    for (const auto& name : files.list(folder)) {
        files.remove(folder / name);
    }
    std::error_code ignored;
    std::filesystem::remove(folder, ignored);
}

SavedModel write_model(DurableFiles& files, const std::filesystem::path& models, const ModelToSave& in) {
    create_folders_durably(files, models);
    const auto unfinished =
        models / ("writing-" + host_name() + "-" + std::to_string(getpid()) + kUnfinishedSuffix);
    remove_folder(files, unfinished);
    files.create_folder(unfinished);
    in.data.tokenizer->save(unfinished);
    for (const auto& name : files.list(unfinished)) {
        rewrite_durably(files, unfinished / name);
    }
    write_text(files, unfinished / "config.json",
               config_json(whole_config(in), in.data.special).dump(2) + "\n");
    SavedModel saved;
    saved.bytes = write_weights(files, unfinished / "model.safetensors", whole_tensors(in));
    saved.sha256 = sha256_hex_of_pretrained(unfinished);
    const auto folder = models / saved.sha256;
    saved.folder = folder.string();
    if (!files.list(folder).empty()) {
        remove_folder(files, unfinished);
        return saved;
    }
    files.rename(unfinished, folder);
    files.sync_folder(models);
    return saved;
}

}  // namespace

bool is_hugging_face_head(const ModelConfig& model) {
    return model.head_width == model.hidden_size && model.head_activation == Activation::tanh &&
           model.layer_fusion == LayerFusion::last && model.pooling == Pooling::cls;
}

void decay_unused(at::Tensor& values, const TrainConfig& config, std::int64_t steps_done,
                  std::int64_t steps) {
    if (config.weight_decay == 0) {
        return;
    }
    if (config.optimizer == Optimizer::adamw) {
        double factor = 1;
        for (std::int64_t step = 0; step < steps_done; ++step) {
            factor *= 1 - learning_rate_at(config, step, steps) * config.weight_decay;
        }
        values.mul_(factor);
        return;
    }
    // Adam takes the decay for a gradient and scales it: only its own steps tell where that leads.
    const at::Tensor gradient = at::zeros_like(values);
    const at::Tensor mean = at::zeros_like(values);
    const at::Tensor square = at::zeros_like(values);
    const at::Tensor count = at::zeros({}, values.options());
    for (std::int64_t step = 0; step < steps_done; ++step) {
        count.add_(1);
        at::_fused_adam_({values}, {gradient}, {mean}, {square}, {}, {count},
                         learning_rate_at(config, step, steps), config.adam_beta1, config.adam_beta2,
                         config.weight_decay, config.adam_epsilon,
                         /*amsgrad=*/false, /*maximize=*/false);
    }
}

SavedModel save_model(DurableFiles& files, const std::filesystem::path& models, const ModelToSave& model) {
    try {
        return write_model(files, models, model);
    } catch (const std::system_error& error) {
        throw UserError(std::string("the trained model could not be saved: ") + error.what());
    }
}

}  // namespace orchestrate
