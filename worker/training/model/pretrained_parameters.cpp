#include "worker/training/model/pretrained_parameters.h"

#include <ATen/ATen.h>

#include "common/base/error.h"

namespace orchestrate {
namespace {

class Filler {
  public:
    Filler(Parameters& parameters, const PretrainedWeights& weights, const std::vector<std::string>& classes)
        : parameters_(parameters),
          weights_(weights),
          names_(ParameterNames::of(weights.config.model.model_type)),
          takes_output_(has_output_for(classes)) {}

    std::vector<std::string> fill(std::uint64_t seed) {
        const at::NoGradGuard no_gradients;
        std::map<std::string, const WeightTensor*> stored;
        for (const Parameter& parameter : parameters_.list()) {
            if (const WeightTensor* const found = find(parameter)) {
                stored[parameter.name] = found;
            } else {
                fresh_.push_back(parameter.name);
            }
        }
        parameters_.initialize(seed,
                               [&](const Parameter& parameter) { return !stored.contains(parameter.name); });
        for (const Parameter& parameter : parameters_.list()) {
            if (const auto found = stored.find(parameter.name); found != stored.end()) {
                parameters_.value(parameter).copy_(rows_of(parameter, *found->second));
            }
        }
        std::vector<std::string> lines;
        lines.push_back("started from the weights in '" + weights_.folder.string() + "'" +
                        (fresh_.empty() ? "" : "; fresh: " + joined(fresh_)));
        if (!weights_.ignored.empty()) {
            lines.push_back("of those weights, no part of this model: " + joined(weights_.ignored));
        }
        if (!left_out_.empty()) {
            lines.push_back("of those weights, not of this head's shape or classes: " + joined(left_out_));
        }
        return lines;
    }

  private:
    static std::string joined(const std::vector<std::string>& names) {
        std::string text;
        for (const auto& name : names) {
            text += (text.empty() ? "" : ", ") + name;
        }
        return text;
    }

    bool is_head(const std::string& name) const {
        return name.starts_with(names_.hidden + ".") || name.starts_with(names_.output + ".");
    }

    // Classes that have no names count as these, if there are as many.
    bool has_output_for(const std::vector<std::string>& classes) const {
        return weights_.config.classes.empty() || weights_.config.classes == classes;
    }

    const WeightTensor* find(const Parameter& parameter) {
        auto found = weights_.tensors.find("orchestrate." + parameter.name);
        if (found == weights_.tensors.end()) {
            found = weights_.tensors.find(parameter.name);
        }
        if (found == weights_.tensors.end()) {
            return nullptr;
        }
        const bool is_output = parameter.name.starts_with(names_.output + ".");
        const bool is_other = found->second.shape != parameter.shape || (is_output && !takes_output_);
        if (is_head(parameter.name) && is_other) {
            left_out_.push_back(found->first);
            return nullptr;
        }
        return &found->second;
    }

    at::Tensor rows_of(const Parameter& parameter, const WeightTensor& stored) const {
        const ModelDimensions& dimensions = parameters_.dimensions();
        const at::Tensor whole =
            at::from_blob(const_cast<float*>(stored.values.data()), stored.shape, at::kFloat);
        if (parameter.name == names_.word_embeddings()) {
            return whole.index_select(0, at::tensor(at::ArrayRef<std::int64_t>(dimensions.vocabulary_rows)));
        }
        if (parameter.name == names_.position_embeddings()) {
            return whole.narrow(0, dimensions.first_position(), dimensions.positions);
        }
        if (stored.shape != parameter.shape) {
            throw UserError(
                "'" + stored.file.string() + "': tensor '" + parameter.name +
                "' is not of the shape that the job's model has; its sizes are those of config.json");
        }
        return whole;
    }

    Parameters& parameters_;
    const PretrainedWeights& weights_;
    ParameterNames names_;
    bool takes_output_;
    std::vector<std::string> fresh_;
    std::vector<std::string> left_out_;
};

}  // namespace

std::vector<std::string> fill_from_pretrained(Parameters& parameters, const PretrainedWeights& weights,
                                              const std::vector<std::string>& classes, std::uint64_t seed) {
    return Filler(parameters, weights, classes).fill(seed);
}

}  // namespace orchestrate
