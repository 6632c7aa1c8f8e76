// The model against Hugging Face's: logits, loss, hidden states, attention, gradients, and parameters after 5
// optimiser steps. Tolerances are those that the fixtures' README states; the parameters after the steps are judged by
// how far Hugging Face's own float32 is from double precision.
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <set>

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "common/base/json.h"
#include "golden_reference.h"
#include "worker/training/loop/optimizer.h"
#include "worker/training/loop/training_plan.h"
#include "worker/training/model/model.h"
#include "worker/training/model/pretrained_parameters.h"
#include "worker/training/model/training_loss.h"
#include "worker/training/support/safetensors.h"

namespace orchestrate {
namespace {

using Tensors = std::map<std::string, SafeTensor>;

std::filesystem::path golden_folder() {
    const char* const named = std::getenv("ORCHESTRATE_GOLDEN");
    return named != nullptr ? named : ORCHESTRATE_GOLDEN_DEFAULT;
}

struct Fixture {
    ModelDimensions dimensions;
    Tensors weights;
    Tensors inputs;
    Tensors expected;
};

Fixture read_fixture(const std::filesystem::path& folder) {
    const Json json = Json::parse(std::ifstream(folder / "config.json"));
    Fixture fixture;
    ModelConfig& config = fixture.dimensions.config;
    json.get_to(config);  // the field names are the same; unknown ones are ignored
    config.head_width = config.hidden_size;
    config.head_activation = Activation::tanh;
    fixture.dimensions.vocabulary_size = json.at("vocab_size");
    fixture.dimensions.vocabulary_rows =
        CompactVocabulary::all(fixture.dimensions.vocabulary_size).original_id;
    fixture.dimensions.pad_token = json.at("pad_token_id");
    fixture.dimensions.positions = config.max_position_embeddings - fixture.dimensions.first_position();
    fixture.weights = read_safetensors(folder / "model.safetensors");
    fixture.inputs = read_safetensors(folder / "inputs.safetensors");
    fixture.expected = read_safetensors(folder / "expected.safetensors");
    fixture.dimensions.token_types = json.at("type_vocab_size");
    const std::string output = ParameterNames::of(config.model_type).output;
    fixture.dimensions.classes = fixture.weights.at(output + ".weight").shape.at(0);
    return fixture;
}

at::Tensor tensor_of(const SafeTensor& stored) {
    return at::tensor(at::ArrayRef<float>(stored.floats())).view(stored.shape);
}

// A parameter of the fixture as the flat layout holds it: the position table starts at its first used row.
at::Tensor compact(const ModelDimensions& dimensions, const std::string& name, at::Tensor full) {
    if (name == ParameterNames::of(dimensions.config.model_type).position_embeddings()) {
        return full.narrow(0, dimensions.first_position(), dimensions.positions);
    }
    return full;
}

void load(Parameters& parameters, const Tensors& weights) {
    for (const Parameter& parameter : parameters.list()) {
        const at::Tensor full = tensor_of(weights.at(parameter.name));
        parameters.value(parameter).copy_(compact(parameters.dimensions(), parameter.name, full));
    }
}

// Texts of a padded [texts, length] batch, starting at `first` in the flat arrays.
BatchLayoutPtr packed(const Tensors& inputs, const std::string& prefix, std::int64_t step = 0) {
    const SafeTensor& ids = inputs.at(prefix + "input_ids");
    const auto id = ids.integers();
    const auto mask = inputs.at(prefix + "attention_mask").integers();
    const auto labels = inputs.at(prefix + "labels").integers();
    std::vector<std::int64_t> type;
    if (const auto types = inputs.find(prefix + "token_type_ids"); types != inputs.end()) {
        type = types->second.integers();
    }
    const std::int64_t texts = ids.shape.at(ids.shape.size() - 2);
    const std::int64_t length = ids.shape.back();
    PackedBatch batch;
    for (std::int64_t text = 0; text < texts; ++text) {
        std::vector<std::int32_t> tokens;
        std::vector<std::int32_t> types;
        for (std::int64_t i = 0; i < length; ++i) {
            const auto at = static_cast<std::size_t>((step * texts + text) * length + i);
            if (mask[at] != 0) {
                tokens.push_back(static_cast<std::int32_t>(id[at]));
                if (!type.empty()) {
                    types.push_back(static_cast<std::int32_t>(type[at]));
                }
            }
        }
        batch.add_text(tokens, labels[static_cast<std::size_t>(step * texts + text)],
                       static_cast<std::uint32_t>(text), types);
    }
    return std::make_shared<BatchLayout>(std::move(batch));
}

double largest_difference(const at::Tensor& a, const at::Tensor& b) {
    return (a - b).abs().max().item<double>();
}

// The rows of a padded [texts, length, ...] tensor where the mask is 1.
at::Tensor unpadded(const at::Tensor& padded, const Tensors& inputs) {
    const auto mask = inputs.at("attention_mask").integers();
    std::vector<std::int64_t> rows;
    for (std::size_t i = 0; i < mask.size(); ++i) {
        if (mask[i] != 0) {
            rows.push_back(static_cast<std::int64_t>(i));
        }
    }
    return padded.flatten(0, 1).index_select(0, at::tensor(rows));
}

// A padded [texts, heads, length, length] tensor with zeros where a query or a key is padding.
at::Tensor of_tokens(const at::Tensor& padded, const BatchLayout& layout) {
    const at::Tensor kept = at::zeros_like(padded);
    for (std::int64_t text = 0; text < layout.batch.texts(); ++text) {
        const auto at = static_cast<std::size_t>(text);
        const std::int64_t rows = layout.batch.offsets[at + 1] - layout.batch.offsets[at];
        const auto rectangle = [&](const at::Tensor& all) {
            return all.select(0, text).narrow(1, 0, rows).narrow(2, 0, rows);
        };
        rectangle(kept).copy_(rectangle(padded));
    }
    return kept;
}

bool is_key_bias(const std::string& name) {
    return name.find("attention.self.key.bias") != std::string::npos;
}

void backward(const at::Tensor& loss) {
    torch::autograd::backward({loss}, {});
}

struct Case {
    std::string folder;
    bool composite;
};

class GoldenModel : public testing::TestWithParam<Case> {
  protected:
    void SetUp() override {
        const auto folder = golden_folder() / GetParam().folder;
        if (!std::filesystem::exists(folder)) {
            GTEST_SKIP() << folder << " does not exist; set ORCHESTRATE_GOLDEN";
        }
        fixture_ = read_fixture(folder);
        at::set_num_threads(1);
    }
    Operations operations() const { return Operations(at::kCPU, GetParam().composite); }

    Fixture fixture_;
};

TEST_P(GoldenModel, LogitsLossHiddenStatesAndGradientsAreEqual) {
    Parameters parameters(fixture_.dimensions, at::kCPU);
    load(parameters, fixture_.weights);
    const EncoderClassifier model(parameters, operations());
    const auto layout = packed(fixture_.inputs, "");

    Inspection inspection;
    const at::Tensor all_rows = model.logits(layout, std::nullopt, &inspection);
    for (std::size_t i = 0; i < inspection.hidden_states.size(); ++i) {
        const at::Tensor expected = tensor_of(fixture_.expected.at("hidden_states." + std::to_string(i)));
        EXPECT_LT(largest_difference(inspection.hidden_states[i], unpadded(expected, fixture_.inputs)), 2e-5)
            << "layer " << i;
    }
    for (std::size_t i = 0; i < inspection.attentions.size(); ++i) {
        const auto stored = fixture_.expected.find("attentions." + std::to_string(i));
        if (stored != fixture_.expected.end()) {
            EXPECT_LT(
                largest_difference(inspection.attentions[i], of_tokens(tensor_of(stored->second), *layout)),
                2e-5)
                << "layer " << i;
        }
    }
    const at::Tensor logits = model.logits(layout, std::nullopt);
    const at::Tensor expected_logits = tensor_of(fixture_.expected.at("logits"));
    EXPECT_LT(largest_difference(logits, expected_logits), 2e-5);
    EXPECT_LT(largest_difference(all_rows, expected_logits), 2e-5);

    const at::Tensor loss =
        summed_cross_entropy(logits, layout->batch.label) / static_cast<double>(layout->batch.texts());
    EXPECT_NEAR(loss.item<double>(), fixture_.expected.at("loss").floats().at(0), 1e-5);

    backward(loss);
    for (const Parameter& parameter : parameters.list()) {
        const at::Tensor gradient = parameters.gradient(parameter);
        const auto stored = fixture_.expected.find("grad." + parameter.name);
        at::Tensor expected;
        if (stored != fixture_.expected.end()) {
            expected = tensor_of(stored->second);
        } else {
            expected = at::zeros(tensor_of(fixture_.weights.at(parameter.name)).sizes());
            expected.index_copy_(
                0, at::tensor(fixture_.expected.at("grad." + parameter.name + ".rows").integers()),
                tensor_of(fixture_.expected.at("grad." + parameter.name + ".values")));
        }
        expected = compact(fixture_.dimensions, parameter.name, expected);
        const double tolerance =
            is_key_bias(parameter.name) ? 1e-5 : 1e-4 * expected.abs().max().item<double>() + 1e-6;
        EXPECT_LT(largest_difference(gradient, expected), tolerance) << parameter.name;
    }
}

// The batches of the training steps.
std::vector<golden::Batch> padded_batches(const Tensors& inputs) {
    const auto all = [&](const std::string& name) {
        const SafeTensor& stored = inputs.at("train." + name);
        return at::tensor(at::ArrayRef<std::int64_t>(stored.integers())).view(stored.shape);
    };
    const at::Tensor ids = all("input_ids");
    const at::Tensor types =
        inputs.contains("train.token_type_ids") ? all("token_type_ids") : at::zeros_like(ids);
    std::vector<golden::Batch> batches;
    for (std::int64_t step = 0; step < ids.size(0); ++step) {
        batches.push_back({ids[step], all("attention_mask")[step], types[step], all("labels")[step]});
    }
    return batches;
}

// Distances from a training in double precision, of the program's values and of Hugging Face's.
struct Distances {
    double ours = 0;          // the largest
    double hugging_face = 0;  // the largest
    double ours_of_exempt = 0;
    std::int64_t exempt = 0;
    std::int64_t elements = 0;
};

// An element whose gradients were this small, after clipping: rounding of a gradient moves Adam's update by as much as
// the update itself.
constexpr double kExemptGradient = 1e-6;  // 100 times Adam's epsilon

constexpr std::int64_t kScheduledSteps = 10;

golden::ReferenceTraining train_in_double(const Fixture& fixture, const TrainConfig& config,
                                          const std::vector<double>& rates) {
    golden::NamedTensors weights;
    for (const auto& [name, stored] : fixture.weights) {
        weights[name] = tensor_of(stored);
    }
    const golden::ReferenceClassifier model(fixture.dimensions.config, fixture.dimensions.pad_token, weights);
    return golden::train_reference(model, padded_batches(fixture.inputs), rates, config);
}

double largest_where(const at::Tensor& values, const at::Tensor& which) {
    return at::where(which, values, at::zeros_like(values)).max().item<double>();
}

Distances distances_from(const golden::ReferenceTraining& reference, const Fixture& fixture,
                         const Parameters& parameters) {
    Distances distances;
    for (const Parameter& parameter : parameters.list()) {
        if (is_key_bias(parameter.name)) {
            continue;  // its gradient is 0 but for rounding
        }
        const at::Tensor exact = reference.values.at(parameter.name);
        const at::Tensor is_exempt = reference.smallest_gradient.at(parameter.name) < kExemptGradient;
        const auto of_layout = [&](const at::Tensor& full) {
            return compact(fixture.dimensions, parameter.name, full);
        };
        const at::Tensor ours = (parameters.value(parameter).to(at::kDouble) - of_layout(exact)).abs();
        distances.ours = std::max(distances.ours, largest_where(ours, of_layout(~is_exempt)));
        distances.ours_of_exempt =
            std::max(distances.ours_of_exempt, largest_where(ours, of_layout(is_exempt)));
        distances.exempt += is_exempt.sum().item<std::int64_t>();
        distances.elements += is_exempt.numel();

        const std::string name = "after." + parameter.name;
        const auto stored = fixture.expected.find(name);
        if (stored != fixture.expected.end()) {
            const at::Tensor theirs = (tensor_of(stored->second).to(at::kDouble) - exact).abs();
            distances.hugging_face =
                std::max(distances.hugging_face, largest_where(of_layout(theirs), of_layout(~is_exempt)));
        } else {  // the rows with a gradient, and some others
            const at::Tensor rows = at::tensor(fixture.expected.at(name + ".rows").integers());
            const at::Tensor values = tensor_of(fixture.expected.at(name + ".values"));
            const at::Tensor theirs = (values.to(at::kDouble) - exact.index_select(0, rows)).abs();
            distances.hugging_face =
                std::max(distances.hugging_face, largest_where(theirs, (~is_exempt).index_select(0, rows)));
        }
    }
    return distances;
}

TEST_P(GoldenModel, FiveOptimiserStepsAreEqual) {
    Parameters parameters(fixture_.dimensions, at::kCPU);
    load(parameters, fixture_.weights);
    const EncoderClassifier model(parameters, operations());
    TrainConfig config;
    config.learning_rate = 1e-3;
    config.warmup_ratio = 0.2;
    AdamOptimizer optimizer(parameters, config);
    constexpr std::int64_t kSteps = 5;
    const auto losses = fixture_.expected.at("train.loss").floats();
    const auto rates = fixture_.expected.at("train.lr").floats();
    const auto norms = fixture_.expected.at("train.grad_norm").floats();
    std::vector<double> used_rates;
    for (std::int64_t step = 0; step < kSteps; ++step) {
        const auto at = static_cast<std::size_t>(step);
        const auto layout = packed(fixture_.inputs, "train.", step);
        parameters.gradients().zero_();
        const at::Tensor loss =
            summed_cross_entropy(model.logits(layout, std::nullopt), layout->batch.label) /
            static_cast<double>(layout->batch.texts());
        backward(loss);
        const double rate = learning_rate_at(config, step, kScheduledSteps);
        EXPECT_NEAR(rate, rates[at], 1e-9);
        used_rates.push_back(rate);
        const double norm = optimizer.step(rate).item<double>();
        EXPECT_NEAR(loss.item<double>(), losses[at], 1e-4) << "step " << step;
        EXPECT_NEAR(norm, norms[at], 1e-4 * norms[at]) << "step " << step;
    }
    const Distances distances =
        distances_from(train_in_double(fixture_, config, used_rates), fixture_, parameters);
    RecordProperty("largest_error", std::to_string(1e7 * distances.ours) + "e-7");
    EXPECT_LE(distances.ours, 3 * distances.hugging_face)
        << "largest distance from double precision; that of Hugging Face's float32: "
        << distances.hugging_face;
    EXPECT_LE(static_cast<double>(distances.exempt), 1e-3 * static_cast<double>(distances.elements));
    // An update is at most about the learning rate, in either direction.
    EXPECT_LE(distances.ours_of_exempt, 2 * std::accumulate(used_rates.begin(), used_rates.end(), 0.0));
}

// As a job does it: the folder's tensors, of which only the rows in use become parameters.
TEST_P(GoldenModel, TheFolderIsLoadedIntoAModelOfTheWordsInUse) {
    const auto weights = load_pretrained_weights(golden_folder() / GetParam().folder, "");
    EXPECT_TRUE(weights->ignored.empty());
    PackedBatch batch = packed(fixture_.inputs, "")->batch;
    const std::set<std::int64_t> used(batch.token.begin(), batch.token.end());
    ModelDimensions dimensions = fixture_.dimensions;
    dimensions.config = weights->config.model;
    dimensions.pad_token = weights->config.pad_token;
    dimensions.token_types = weights->config.token_types;
    dimensions.vocabulary_rows.assign(used.begin(), used.end());
    dimensions.positions = batch.longest;
    for (auto& token : batch.token) {
        token = std::distance(used.begin(), used.find(token));
    }
    Parameters parameters(dimensions, at::kCPU);
    const std::vector<std::string> classes(static_cast<std::size_t>(dimensions.classes));
    EXPECT_EQ(fill_from_pretrained(parameters, *weights, classes, 0).size(), 1U);
    const EncoderClassifier model(parameters, operations());
    const at::Tensor logits = model.logits(std::make_shared<BatchLayout>(std::move(batch)), std::nullopt);
    EXPECT_LT(largest_difference(logits, tensor_of(fixture_.expected.at("logits"))), 2e-5);
}

INSTANTIATE_TEST_SUITE_P(
    HuggingFace, GoldenModel,
    testing::Values(Case{"model-roberta-tiny", false}, Case{"model-roberta-fullvocab", false},
                    Case{"model-bert-tiny", false}, Case{"model-roberta-tiny", true},
                    Case{"model-roberta-fullvocab", true}, Case{"model-bert-tiny", true}),
    [](const auto& test) {
        std::string name = test.param.folder + (test.param.composite ? "_libtorch" : "_kernels");
        std::replace(name.begin(), name.end(), '-', '_');
        return name;
    });

}  // namespace
}  // namespace orchestrate
