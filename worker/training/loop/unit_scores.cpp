#include "worker/training/loop/unit_scores.h"

#include <algorithm>

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include "worker/training/runtime/all_ranks.h"

namespace orchestrate {

namespace {

// One pass; a rank takes every size()-th. Their size does not depend on the number of ranks, so neither do
// their rounding errors.
constexpr std::int64_t kRowsPerPass = 64;

// Of each row of an output, its example's place in the batch.
at::Tensor example_of_rows(const PackedBatch& batch, Rows rows, at::Device device) {
    std::vector<std::int64_t> example;
    for (std::int64_t i = 0; i < batch.examples(); ++i) {
        const auto at = static_cast<std::size_t>(i);
        const auto begin = static_cast<std::size_t>(batch.text_offsets[at]);
        const auto end = static_cast<std::size_t>(batch.text_offsets[at + 1]);
        const std::int64_t count = rows == Rows::texts ? static_cast<std::int64_t>(end - begin)
                                                       : batch.offsets[end] - batch.offsets[begin];
        example.insert(example.end(), static_cast<std::size_t>(count), i);
    }
    return at::tensor(at::ArrayRef<std::int64_t>(example), at::kLong).to(device);
}

// Sums over the columns of each unit.
at::Tensor per_unit(const at::Tensor& values, std::size_t units) {
    return values.view({values.size(0), static_cast<std::int64_t>(units), -1}).sum(2);
}

at::Tensor activation_score(const UnitOutput& output, std::size_t units) {
    return per_unit(output.values.detach().abs().to(at::kDouble), units).sum(0);
}

at::Tensor gradient_score(const UnitOutput& output, const at::Tensor& gradient, std::size_t units,
                          const PackedBatch& batch) {
    const at::Tensor product = per_unit((output.values.detach() * gradient).to(at::kDouble), units);
    const at::Tensor by_example =
        at::zeros({batch.examples(), product.size(1)}, product.options())
            .index_add(0, example_of_rows(batch, output.rows, product.device()), product);
    return by_example.abs().sum(0);
}

// Outputs of one kind of unit that one mask chooses by, and where their scores go.
struct ScoredKind {
    const UnitMask& mask;
    const std::vector<UnitOutput>& outputs;
    OfUnits<double>& scores;
};

bool is_scored_by(const UnitMask& mask, UnitChoice choice) {
    return mask.share > 0 && mask.choice == choice;
}

// Calls work(layer's output, its scores) for every layer whose units are scored that way.
template <class Work>
void for_each_scored(const std::vector<ScoredKind>& kinds, UnitChoice choice, const Work& work) {
    for (const ScoredKind& kind : kinds) {
        for (std::size_t i = 0; is_scored_by(kind.mask, choice) && i < kind.outputs.size(); ++i) {
            work(kind.outputs[i], kind.scores[i]);
        }
    }
}

// Writes the scores over one batch.
void score_batch(const EncoderClassifier& model, const ModelConfig& config, const TrainingLoss& loss,
                 const BatchLayoutPtr& layout, UnitScores& scores) {
    const at::AutoGradMode gradients(true);
    UnitOutputs outputs;
    const at::Tensor logits = model.logits(layout, std::nullopt, nullptr, &outputs);
    const std::vector<ScoredKind> kinds = {{config.attention_head_mask, outputs.heads, scores.heads},
                                           {config.feed_forward_mask, outputs.neurons, scores.neurons},
                                           {config.classifier_mask, outputs.classifier, scores.classifier}};
    const auto write = [](const at::Tensor& from, std::vector<double>& to) {
        const at::Tensor host = from.to(at::kCPU).contiguous();
        std::copy_n(host.const_data_ptr<double>(), to.size(), to.begin());
    };
    for_each_scored(kinds, UnitChoice::lowest_activation,
                    [&](const UnitOutput& output, std::vector<double>& score) {
                        write(activation_score(output, score.size()), score);
                    });
    torch::autograd::variable_list observed;
    for_each_scored(kinds, UnitChoice::lowest_gradient, [&](const UnitOutput& output, std::vector<double>&) {
        observed.push_back(output.values);
    });
    if (observed.empty()) {
        return;
    }
    const auto gradient = torch::autograd::grad({loss.sum(logits, layout->batch.label)}, observed);
    std::size_t next = 0;
    for_each_scored(kinds, UnitChoice::lowest_gradient,
                    [&](const UnitOutput& output, std::vector<double>& score) {
                        write(gradient_score(output, gradient[next++], score.size(), layout->batch), score);
                    });
}

// Calls work(score) for every unit, in a fixed order.
template <class Scores, class Work>
void for_each_unit(Scores& scores, const Work& work) {
    for (auto* const kind : {&scores.heads, &scores.neurons, &scores.classifier}) {
        for (auto& layer : *kind) {
            for (auto& score : layer) {
                work(score);
            }
        }
    }
}

UnitScores no_scores(const ModelConfig& config) {
    const MaskedUnits shape = no_masked_units(config);
    const auto zeros = [](const OfUnits<char>& kind) {
        OfUnits<double> result;
        for (const auto& layer : kind) {
            result.emplace_back(layer.size(), 0.0);
        }
        return result;
    };
    return {zeros(shape.heads), zeros(shape.neurons), zeros(shape.classifier)};
}

}  // namespace

UnitScores score_units(EncoderClassifier& model, const TrainerInputs& inputs,
                       const CompactVocabulary& vocabulary, const TrainingLoss& loss) {
    const ModelConfig& config = inputs.config.model;
    auto rows = epoch_order(inputs.data.train.rows(), inputs.config.seed.data_order, 0);
    rows.resize(static_cast<std::size_t>(std::min(inputs.data.train.rows(), kScoredRows)));
    const auto count = static_cast<std::int64_t>(rows.size());
    UnitScores total = no_scores(config);
    std::size_t units = 0;
    for_each_unit(total, [&](double&) { ++units; });

    // Each pass has a place of its own, so that the sum over the ranks adds nothing to anything.
    const auto passes = static_cast<std::size_t>((count + kRowsPerPass - 1) / kRowsPerPass);
    std::vector<double> of_passes(passes * units, 0.0);
    const auto score_pass = [&](std::size_t pass) {
        const auto begin = static_cast<std::int64_t>(pass) * kRowsPerPass;
        const auto length = static_cast<std::size_t>(std::min(kRowsPerPass, count - begin));
        const auto layout = std::make_shared<BatchLayout>(
            pack(inputs.data.train, std::span(rows).subspan(static_cast<std::size_t>(begin), length), 0,
                 vocabulary, TextWindows::of(inputs.config.tokenizer)));
        UnitScores scores = no_scores(config);
        score_batch(model, config, loss, layout, scores);
        std::size_t next = pass * units;
        for_each_unit(scores, [&](double score) { of_passes[next++] = score; });
    };
    run_on_all_ranks(inputs.collective, kStepDeadline, [&] {
        const auto ranks = static_cast<std::size_t>(inputs.collective.size());
        for (auto pass = static_cast<std::size_t>(inputs.collective.rank()); pass < passes; pass += ranks) {
            score_pass(pass);
        }
    });
    if (inputs.collective.size() > 1) {
        inputs.collective.all_reduce_sum(std::span(of_passes))->wait(kStepDeadline);
    }
    for (std::size_t pass = 0; pass < passes; ++pass) {
        std::size_t next = pass * units;
        for_each_unit(total, [&](double& score) { score += of_passes[next++]; });
    }
    return total;
}

MaskedUnits choose_masked_units(EncoderClassifier& model, const TrainerInputs& inputs,
                                const CompactVocabulary& vocabulary, const TrainingLoss& loss) {
    const ModelConfig& config = inputs.config.model;
    MaskedUnits masked = masked_without_scores(config);
    if (needs_scores(config)) {
        model.mask(masked);
        mask_lowest(config, score_units(model, inputs, vocabulary, loss), masked);
    }
    return masked;
}

}  // namespace orchestrate
