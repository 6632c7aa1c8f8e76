// The scores that units are masked by, against other ways to compute them.
#include "worker/training/loop/unit_scores.h"

#include <gtest/gtest.h>

#include "tests/worker/training/built_model.h"

namespace orchestrate::test {
namespace {

class UnitScoresTest : public AblatedModel {
  protected:
    UnitScores scores(Built& built, const JobConfig& job) {
        const TrainingDevice device = cpu_device();
        SilentObserver observer;
        const std::atomic<bool> stop{false};
        SingleRank alone;
        const TrainerInputs inputs{job, built.data, device, alone, observer, stop};
        const TrainingLoss loss(job.train, built.data.train, built.data.classes.size(), at::kCPU);
        return score_units(built.model, inputs, built.vocabulary, loss);
    }
};

INSTANTIATE_TEST_SUITE_P(Ablation, UnitScoresTest, testing::Values(false, true),
                         [](const auto& test) { return test.param ? "libtorch" : "kernels"; });

// The gradient score of a unit is the mean |dL/dm| of a factor m on its output (Michel et al. 2019): here from
// differences of the loss of one example at a time, the factor put on the weights that read the unit.
TEST_P(UnitScoresTest, OfGradientsAreThoseOfAFactorOnTheOutput) {
    JobConfig job = synthetic_job();
    job.tokenizer.window_length = 9;
    job.tokenizer.window_stride = 5;
    job.model.head_activation = Activation::tanh;
    for (UnitMask* const mask :
         {&job.model.attention_head_mask, &job.model.feed_forward_mask, &job.model.classifier_mask}) {
        *mask = {{}, 0.5, UnitChoice::lowest_gradient, 0};
    }
    Built built(job, GetParam());
    const UnitScores found = scores(built, job);
    const auto from_differences = [&](const std::string& weight, std::int64_t column, std::int64_t columns) {
        const at::NoGradGuard no_gradients;
        at::Tensor read = built.value(weight).narrow(1, column, columns);
        const at::Tensor start = read.clone();
        constexpr double kStep = 0.05;
        double sum = 0;
        for (std::int64_t row = 0; row < built.data.train.rows(); ++row) {
            const std::vector<std::int64_t> rows = {row};
            const auto layout = std::make_shared<BatchLayout>(
                pack(built.data.train, rows, 0, built.vocabulary, TextWindows::of(job.tokenizer)));
            const auto loss_with = [&](double factor) {
                read.copy_(start * factor);
                const at::Tensor logits = built.model.logits(layout, std::nullopt).to(at::kDouble);
                return summed_cross_entropy(logits, layout->batch.label).item<double>();
            };
            sum += std::abs(loss_with(1 + kStep) - loss_with(1 - kStep)) / (2 * kStep);
        }
        read.copy_(start);
        return sum;
    };
    for (std::int64_t layer = 0; layer < 2; ++layer) {
        const auto at = static_cast<std::size_t>(layer);
        const std::string prefix = kLayer + std::to_string(layer);
        for (std::int64_t head = 0; head < 2; ++head) {
            const double expected =
                from_differences(prefix + ".attention.output.dense.weight", 16 * head, 16);
            EXPECT_NEAR(found.heads[at][static_cast<std::size_t>(head)], expected, 0.02 * expected + 1e-3);
        }
        for (const std::int64_t neuron : {0, 17, 47}) {
            const double expected = from_differences(prefix + ".output.dense.weight", neuron, 1);
            EXPECT_NEAR(found.neurons[at][static_cast<std::size_t>(neuron)], expected,
                        0.02 * expected + 1e-3);
        }
    }
    for (const std::int64_t unit : {0, 7, 15}) {
        const double expected = from_differences("classifier.out_proj.weight", unit, 1);
        EXPECT_NEAR(found.classifier[0][static_cast<std::size_t>(unit)], expected, 0.02 * expected + 1e-3);
    }
}

TEST_P(UnitScoresTest, OfActivationsAreSumsOfAbsoluteOutputs) {
    JobConfig job = synthetic_job();
    job.model.pooling = Pooling::mean;  // so that all outputs are read, as inspection computes them
    job.model.attention_head_mask = {{}, 0.5, UnitChoice::lowest_activation, 0};
    job.model.classifier_mask = {{}, 0.5, UnitChoice::lowest_activation, 0};
    Built built(job, GetParam());
    const UnitScores found = scores(built, job);
    const at::NoGradGuard no_gradients;
    const auto layout = built.batch(kTrainRows);
    const PackedBatch& batch = layout->batch;
    Inspection inspection;
    built.model.logits(layout, std::nullopt, &inspection);
    const std::string self = kLayer + "0.attention.self.value";
    const at::Tensor value = at::matmul(inspection.hidden_states[0], built.value(self + ".weight").t()) +
                             built.value(self + ".bias");
    for (std::int64_t head = 0; head < 2; ++head) {
        double expected = 0;
        for (std::int64_t text = 0; text < batch.texts(); ++text) {
            const std::int64_t begin = batch.offsets[static_cast<std::size_t>(text)];
            const std::int64_t rows = batch.offsets[static_cast<std::size_t>(text) + 1] - begin;
            const at::Tensor probabilities =
                inspection.attentions[0][text][head].narrow(0, 0, rows).narrow(1, 0, rows);
            expected += at::matmul(probabilities, value.narrow(0, begin, rows).narrow(1, 16 * head, 16))
                            .abs()
                            .sum()
                            .item<double>();
        }
        EXPECT_NEAR(found.heads[0][static_cast<std::size_t>(head)], expected, 1e-4 * expected);
    }
    const at::Tensor hidden = (at::matmul(mean_of_each_text(inspection.hidden_states[2], batch),
                                          built.value("classifier.dense.weight").t()) +
                               built.value("classifier.dense.bias"))
                                  .clamp_min(0);
    for (std::int64_t unit = 0; unit < 16; ++unit) {
        EXPECT_NEAR(found.classifier[0][static_cast<std::size_t>(unit)],
                    hidden.select(1, unit).sum().item<double>(), 1e-3);
    }
}

// A model whose lower part is frozen has gradients at its units all the same.
TEST_P(UnitScoresTest, DoNotDependOnWhatIsTrained) {
    JobConfig job = synthetic_job();
    job.model.attention_head_mask = {{}, 0.5, UnitChoice::lowest_gradient, 0};
    job.model.feed_forward_mask = {{}, 0.5, UnitChoice::lowest_gradient, 0};
    Built trained(job, GetParam());
    job.train.frozen_embeddings = true;
    job.train.frozen_layers = kAllLayers;
    Built frozen(job, GetParam());
    const UnitScores a = scores(trained, job);
    const UnitScores b = scores(frozen, job);
    EXPECT_EQ(a.heads, b.heads);
    EXPECT_EQ(a.neurons, b.neurons);
}

}  // namespace
}  // namespace orchestrate::test
