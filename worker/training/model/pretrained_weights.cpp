#include "worker/training/model/pretrained_weights.h"

#include <set>

#include "common/base/error.h"
#include "worker/training/model/parameter_names.h"
#include "worker/training/model/whole_model.h"
#include "worker/training/support/safetensors.h"

namespace orchestrate {
namespace {

// What checkpoints of either type hold besides the encoder and its classifier, without the encoder's prefix: buffers
// that are computed anew, and heads of pre-training.
const std::set<std::string>& ignorable_names(ModelType type) {
    static const std::set<std::string> kRoberta = {"embeddings.position_ids",
                                                   "embeddings.token_type_ids",
                                                   "pooler.dense.weight",
                                                   "pooler.dense.bias",
                                                   "lm_head.bias",
                                                   "lm_head.dense.weight",
                                                   "lm_head.dense.bias",
                                                   "lm_head.layer_norm.weight",
                                                   "lm_head.layer_norm.bias",
                                                   "lm_head.decoder.weight",
                                                   "lm_head.decoder.bias"};
    static const std::set<std::string> kBert = {"embeddings.position_ids",
                                                "embeddings.token_type_ids",
                                                "cls.predictions.bias",
                                                "cls.predictions.transform.dense.weight",
                                                "cls.predictions.transform.dense.bias",
                                                "cls.predictions.transform.LayerNorm.weight",
                                                "cls.predictions.transform.LayerNorm.bias",
                                                "cls.predictions.decoder.weight",
                                                "cls.predictions.decoder.bias",
                                                "cls.seq_relationship.weight",
                                                "cls.seq_relationship.bias"};
    return type == ModelType::roberta ? kRoberta : kBert;
}

// Old conversions from TensorFlow call a norm's gain and bias gamma and beta.
std::string with_current_norm_names(std::string name) {
    for (const auto& [old_end, new_end] :
         {std::pair<std::string, std::string>{"LayerNorm.gamma", "LayerNorm.weight"},
          {"LayerNorm.beta", "LayerNorm.bias"}}) {
        if (name.ends_with(old_end)) {
            name.replace(name.size() - old_end.size(), old_end.size(), new_end);
        }
    }
    return name;
}

std::string shown(const std::vector<std::int64_t>& shape) {
    std::string text = "[";
    for (const std::int64_t extent : shape) {
        text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
    }
    return text + "]";
}

class Loader {
  public:
    explicit Loader(const std::filesystem::path& folder) {
        weights_.folder = folder;
        weights_.config = read_pretrained_config(folder);
        for (const auto& tensor : whole_model_tensors(weights_.config, 1)) {
            expected_.emplace(tensor.name, tensor);
        }
    }

    PretrainedWeights load() {
        const WeightFiles files = find_weight_files(weights_.folder);
        std::map<std::string, std::filesystem::path> file_of_tensor(files.file_of_tensor.begin(),
                                                                    files.file_of_tensor.end());
        for (const auto& path : files.files) {
            SafetensorsFile file(path);
            for (const auto& [name, place] : file.tensors()) {
                if (!files.index.empty()) {
                    const auto indexed = file_of_tensor.find(name);
                    if (indexed == file_of_tensor.end() || indexed->second != path) {
                        fail(path, name, "is not said to be in this file by '" + files.index.string() + "'");
                    }
                    file_of_tensor.erase(indexed);
                }
                take(file, path, name);
            }
        }
        if (!file_of_tensor.empty()) {
            const auto& [name, path] = *file_of_tensor.begin();
            fail(path, name,
                 "is missing, although '" + files.index.string() + "' says that it is in this file");
        }
        for (const auto& [name, tensor] : expected_) {
            if (!tensor.is_head && !weights_.tensors.contains(name)) {
                throw UserError("'" + weights_.folder.string() + "': the weights lack the tensor '" + name +
                                "' (also looked for without '" + prefix() + "'), expected shape " +
                                shown(tensor.shape));
            }
        }
        return std::move(weights_);
    }

  private:
    [[noreturn]] static void fail(const std::filesystem::path& file, const std::string& tensor,
                                  const std::string& what) {
        throw UserError("'" + file.string() + "': tensor '" + tensor + "' " + what);
    }

    std::string prefix() const { return ParameterNames::of(weights_.config.model.model_type).encoder; }

    // The name in a classifier, of a tensor that may come from a bare encoder; empty: none of a classifier.
    std::string classifier_name(const std::string& stored) const {
        const std::string name = with_current_norm_names(stored);
        for (const auto& candidate : {name, prefix() + name}) {
            if (expected_.contains(candidate) || candidate.starts_with("orchestrate.")) {
                return candidate;
            }
        }
        return {};
    }

    void take(SafetensorsFile& file, const std::filesystem::path& path, const std::string& stored) {
        const std::string name = classifier_name(stored);
        if (name.empty()) {
            ignore(path, stored);
            return;
        }
        const auto& shape = file.tensors().at(stored).shape;
        if (const auto found = expected_.find(name);
            found != expected_.end() && !found->second.is_head && found->second.shape != shape) {
            fail(path, stored,
                 "has the shape " + shown(shape) + ", expected " + shown(found->second.shape) +
                     " as config.json says");
        }
        WeightTensor tensor{shape, {}, path};
        try {
            tensor.values = file.read(stored).floats();
        } catch (const UserError& error) {
            fail(path, stored, std::string("cannot be used: ") + error.what());
        }
        if (!weights_.tensors.emplace(name, std::move(tensor)).second) {
            fail(path, stored, "is there twice, with and without '" + prefix() + "' or under an old name");
        }
    }

    void ignore(const std::filesystem::path& path, const std::string& stored) {
        std::string name = with_current_norm_names(stored);
        if (name.starts_with(prefix())) {
            name.erase(0, prefix().size());
        }
        if (!ignorable_names(weights_.config.model.model_type).contains(name)) {
            fail(path, stored,
                 "is not known in a model of the type " + to_string(weights_.config.model.model_type) +
                     " with the sizes of its config.json; it would be left out");
        }
        weights_.ignored.push_back(stored);
    }

    PretrainedWeights weights_;
    std::map<std::string, WholeTensor> expected_;
};

}  // namespace

std::int64_t PretrainedWeights::bytes() const {
    std::int64_t sum = 0;
    for (const auto& [name, tensor] : tensors) {
        sum += static_cast<std::int64_t>(tensor.values.size() * sizeof(float));
    }
    return sum;
}

std::shared_ptr<const PretrainedWeights> load_pretrained_weights(const std::filesystem::path& folder,
                                                                 const std::string& sha256) {
    if (!sha256.empty()) {
        const std::string found = sha256_hex_of_pretrained(folder);
        if (found != sha256) {
            throw UserError("the model in '" + folder.string() + "' has the SHA-256 " + found +
                            ", but the job is about the one with " + sha256 +
                            "; bring the old files back, or run the study anew");
        }
    }
    return std::make_shared<const PretrainedWeights>(Loader(folder).load());
}

}  // namespace orchestrate
