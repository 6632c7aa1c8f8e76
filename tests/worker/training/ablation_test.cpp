// Ablations of the model: each against another way to compute the same, and none dependent on how it is run.
#include <gtest/gtest.h>

#include "common/base/error.h"
#include "tests/worker/training/ablations.h"
#include "tests/worker/training/built_model.h"
#include "worker/training/loop/optimizer.h"

namespace orchestrate::test {
namespace {

// --- whole trainings ---

class EveryAblation : public testing::TestWithParam<Ablation> {
  protected:
    void SetUp() override {
        at::set_num_threads(1);
        GetParam().apply(config_);
    }
    TrainingRun run(const RunOptions& options = {}) { return run_job(config_, data_, collective_, options); }

    PreparedData data_ = synthetic_data(kTrainRows);
    JobConfig config_ = synthetic_job();
    SingleRank collective_;
};

TEST_P(EveryAblation, HasAnEffectAndDoesNotDependOnKernelsMicroBatchesOrThreads) {
    const TrainingRun ablated = run();
    ASSERT_EQ(ablated.outcome.cause, Cause::succeeded) << ablated.outcome.message;
    ASSERT_EQ(ablated.losses.size(), static_cast<std::size_t>(kSteps));
    EXPECT_LT(largest_difference(ablated.losses, run({.use_libtorch_kernels = true}).losses), 1e-5);
    EXPECT_LT(largest_difference(ablated.losses, run({.micro_batch = 3}).losses), 1e-5);
    EXPECT_EQ(ablated.losses, run().losses);
    at::set_num_threads(3);
    EXPECT_LT(largest_difference(ablated.losses, run().losses), 1e-5);
    at::set_num_threads(1);
    JobConfig whole = synthetic_job();
    whole.model.model_type = config_.model.model_type;
    EXPECT_GT(largest_difference(ablated.losses, run_job(whole, data_, collective_).losses), 1e-4);
    EXPECT_EQ(ablated.outcome.result.test_predictions.row, data_.test.line);  // a text is one example
}

// bf16 keeps 8 bits of an operand: losses agree with those of fp32 to that precision, not further.
TEST_P(EveryAblation, InBf16HasTheLossesOfFp32UpToItsRounding) {
    if (!cpu_device().computes_bf16) {
        GTEST_SKIP() << "this CPU has no bf16 products";
    }
    const TrainingRun whole = run();
    config_.train.precision = Precision::bf16;
    const TrainingRun rounded = run();
    ASSERT_EQ(rounded.outcome.cause, Cause::succeeded) << rounded.outcome.message;
    const double difference = largest_difference(whole.losses, rounded.losses);
    RecordProperty("largest_difference", std::to_string(difference));
    if (GetParam().name == "embeddings_alone") {
        EXPECT_EQ(difference, 0);  // no product of an encoder layer, which alone are rounded
    } else {
        EXPECT_GT(difference, 1e-6);
    }
    EXPECT_LT(difference, 0.05);
    EXPECT_EQ(rounded.losses, run().losses);
    EXPECT_LT(largest_difference(rounded.losses, run({.micro_batch = 3}).losses), 0.05);
}

INSTANTIATE_TEST_SUITE_P(Trainer, EveryAblation, testing::ValuesIn(ablations()),
                         [](const auto& test) { return test.param.name; });

TEST(Windows, ThatNoTextNeedsChangeNothing) {
    const PreparedData data = synthetic_data(kTrainRows);
    JobConfig config = synthetic_job();
    SingleRank alone;
    const auto without = run_job(config, data, alone);
    config.tokenizer.window_length = data.report.longest_text_tokens;
    config.tokenizer.window_stride = 1;
    EXPECT_EQ(without.losses, run_job(config, data, alone).losses);
}

TEST(Windows, NeedPositionsForAWindowOnly) {
    const PreparedData data = synthetic_data(kTrainRows);
    JobConfig config = synthetic_job();
    SingleRank alone;
    config.model.max_position_embeddings = 10;  // from 2 on
    config.tokenizer.window_length = 8;
    config.tokenizer.window_stride = 6;
    EXPECT_EQ(run_job(config, data, alone).outcome.cause, Cause::succeeded);
    config.tokenizer.window_length = 9;
    EXPECT_THROW(run_job(config, data, alone), UserError);
    config.model.position_embeddings = PositionEmbeddings::none;
    EXPECT_EQ(run_job(config, data, alone).outcome.cause, Cause::succeeded);
}

TEST(Ablation, TrainedParametersAreCounted) {
    const PreparedData data = synthetic_data(kTrainRows);
    SingleRank alone;
    const auto count = [&](const auto& change) {
        JobConfig config = synthetic_job();
        config.train.epochs = 1;
        change(config);
        return run_job(config, data, alone).outcome.result.parameters;
    };
    const std::int64_t all = count([](JobConfig&) {});
    const std::int64_t layer = 4 * (32 * 32 + 32) + 2 * 64 + (32 * 48 + 48) + (48 * 32 + 32);
    EXPECT_EQ(count([](JobConfig& config) { config.model.kept_layers = {0}; }), all - layer);
    EXPECT_EQ(count([](JobConfig& config) { config.train.frozen_layers = 1; }), all - layer);
    EXPECT_EQ(count([](JobConfig& config) { config.train.frozen_layers = kAllLayers; }), all - 2 * layer);
    for (const auto positions : {PositionEmbeddings::none, PositionEmbeddings::frozen}) {
        EXPECT_EQ(count([&](JobConfig& config) { config.model.position_embeddings = positions; }),
                  all - 40 * 32);
    }
    EXPECT_EQ(count([](JobConfig& config) { config.train.frozen_embeddings = true; }),
              all - (60 + 40 + 1) * 32 - 64);
    EXPECT_EQ(count([](JobConfig& config) { config.model.layer_fusion = LayerFusion::concatenation; }),
              all + 32 * 16);
    EXPECT_EQ(count([](JobConfig& config) { config.model.layer_fusion = LayerFusion::weighted; }), all + 2);
}

// --- one model against another ---

INSTANTIATE_TEST_SUITE_P(Ablation, AblatedModel, testing::Values(false, true),
                         [](const auto& test) { return test.param ? "libtorch" : "kernels"; });

TEST_P(AblatedModel, AMaskedHeadIsOneWhoseOutputNobodyReads) {
    Built masked = build([](JobConfig& job) { job.model.attention_head_mask.units = {{0, 1}, {1, 0}}; });
    Built zeroed = build();
    zeroed.value(kLayer + "0.attention.output.dense.weight").narrow(1, 16, 16).zero_();
    zeroed.value(kLayer + "1.attention.output.dense.weight").narrow(1, 0, 16).zero_();
    const auto layout = masked.batch();
    EXPECT_LT(distance(masked.model.logits(layout, kDropout), zeroed.model.logits(layout, kDropout)), 1e-6);
    masked.backward(layout, kDropout);
    zeroed.backward(layout, kDropout);
    for (const std::string part : {"query", "key", "value"}) {
        const std::string name = kLayer + "0.attention.self." + part;
        EXPECT_EQ(masked.gradient(name + ".weight").narrow(0, 16, 16).abs().max().item<float>(), 0) << name;
        EXPECT_EQ(masked.gradient(name + ".bias").narrow(0, 16, 16).abs().max().item<float>(), 0) << name;
        EXPECT_GT(masked.gradient(name + ".weight").narrow(0, 0, 16).abs().max().item<float>(), 0) << name;
    }
    const std::string output = kLayer + "0.attention.output.dense.weight";
    EXPECT_EQ(masked.gradient(output).narrow(1, 16, 16).abs().max().item<float>(), 0);
    EXPECT_GT(zeroed.gradient(output).narrow(1, 16, 16).abs().max().item<float>(), 0);
    zeroed.gradient(output).narrow(1, 16, 16).zero_();
    zeroed.gradient(kLayer + "1.attention.output.dense.weight").narrow(1, 0, 16).zero_();
    EXPECT_LT(distance(masked.parameters.gradients(), zeroed.parameters.gradients()), 1e-5);
}

TEST_P(AblatedModel, AMaskedNeuronOrUnitIsOneWhoseOutputNobodyReads) {
    Built masked = build([](JobConfig& job) {
        job.model.feed_forward_mask.units = {{0, 3}, {1, 47}};
        job.model.classifier_mask.units = {{0, 2}};
        job.model.head_activation = Activation::tanh;  // no unit is dead by chance
    });
    Built zeroed = build([](JobConfig& job) { job.model.head_activation = Activation::tanh; });
    zeroed.value(kLayer + "0.output.dense.weight").select(1, 3).zero_();
    zeroed.value(kLayer + "1.output.dense.weight").select(1, 47).zero_();
    zeroed.value("classifier.out_proj.weight").select(1, 2).zero_();
    const auto layout = masked.batch();
    EXPECT_LT(distance(masked.model.logits(layout, kDropout), zeroed.model.logits(layout, kDropout)), 1e-6);
    masked.backward(layout, kDropout);
    EXPECT_EQ(masked.gradient(kLayer + "0.intermediate.dense.weight").select(0, 3).abs().max().item<float>(),
              0);
    EXPECT_EQ(masked.gradient(kLayer + "0.intermediate.dense.bias")[3].item<float>(), 0);
    EXPECT_EQ(masked.gradient(kLayer + "0.output.dense.weight").select(1, 3).abs().max().item<float>(), 0);
    EXPECT_EQ(masked.gradient("classifier.dense.weight").select(0, 2).abs().max().item<float>(), 0);
    EXPECT_EQ(masked.gradient("classifier.out_proj.weight").select(1, 2).abs().max().item<float>(), 0);
    EXPECT_GT(masked.gradient("classifier.out_proj.weight").select(1, 1).abs().max().item<float>(), 0);
}

TEST_P(AblatedModel, KeptLayersAreASmallerModelWithTheSameValues) {
    Built whole = build([](JobConfig& job) { job.model.num_hidden_layers = 4; });
    Built kept = build([](JobConfig& job) {
        job.model.num_hidden_layers = 4;
        job.model.kept_layers = {1, 3};
    });
    Built small = build();
    for (const Parameter& parameter : kept.parameters.list()) {
        EXPECT_EQ(distance(kept.parameters.value(parameter), whole.value(parameter.name)), 0)
            << parameter.name;
    }
    EXPECT_FALSE(kept.parameters.has(kLayer + "0.output.dense.weight"));
    for (const Parameter& parameter : small.parameters.list()) {
        std::string name = parameter.name;
        for (const auto& [from, to] :
             {std::pair("layer.0.", "layer.1."), std::pair("layer.1.", "layer.3.")}) {
            if (const auto at = parameter.name.find(from); at != std::string::npos) {
                name.replace(at, 8, to);
            }
        }
        small.parameters.value(parameter).copy_(kept.value(name));
    }
    const auto layout = kept.batch();
    EXPECT_EQ(distance(kept.model.logits(layout, std::nullopt), small.model.logits(layout, std::nullopt)), 0);
    // Dropout goes by a layer's number in the whole model.
    EXPECT_GT(distance(kept.model.logits(layout, kDropout), small.model.logits(layout, kDropout)), 1e-4);
}

// The first of four layers has the masks that it has when all are kept: the states below the second are equal.
TEST_P(AblatedModel, KeptLayersKeepTheirDropout) {
    Built whole = build([](JobConfig& job) { job.model.num_hidden_layers = 4; });
    Built kept = build([](JobConfig& job) {
        job.model.num_hidden_layers = 4;
        job.model.kept_layers = {0, 3};
    });
    const auto layout = kept.batch();
    Inspection of_whole;
    Inspection of_kept;
    whole.model.logits(layout, kDropout, &of_whole);
    kept.model.logits(layout, kDropout, &of_kept);
    ASSERT_EQ(of_kept.hidden_states.size(), 3U);
    EXPECT_EQ(distance(of_whole.hidden_states[1], of_kept.hidden_states[1]), 0);
}

TEST_P(AblatedModel, NoPositionsAreZeroPositions) {
    Built none = build([](JobConfig& job) { job.model.position_embeddings = PositionEmbeddings::none; });
    Built zeroed = build();
    zeroed.value("roberta.embeddings.position_embeddings.weight").zero_();
    EXPECT_FALSE(none.parameters.has("roberta.embeddings.position_embeddings.weight"));
    const auto layout = none.batch();
    EXPECT_EQ(distance(none.model.logits(layout, kDropout), zeroed.model.logits(layout, kDropout)), 0);
}

// What is frozen keeps its bits through training with decay; what is trained has the gradients it would have.
TEST_P(AblatedModel, FrozenParametersKeepTheirBits) {
    struct Case {
        std::function<void(JobConfig&)> freeze;
        std::function<bool(const std::string&)> is_frozen;
    };
    const auto in_embeddings = [](const std::string& name) {
        return name.find(".embeddings.") != std::string::npos;
    };
    const auto in_layer = [](int number) {
        return [number](const std::string& name) {
            return name.rfind(kLayer + std::to_string(number) + ".", 0) == 0;
        };
    };
    const std::vector<Case> cases = {
        {[](JobConfig& job) { job.train.frozen_embeddings = true; }, in_embeddings},
        {[](JobConfig& job) { job.train.frozen_layers = 1; }, in_layer(0)},
        {[](JobConfig& job) {
             job.train.frozen_embeddings = true;
             job.train.frozen_layers = kAllLayers;
         },
         [&](const std::string& name) {
             return in_embeddings(name) || in_layer(0)(name) || in_layer(1)(name);
         }},
        {[](JobConfig& job) { job.model.position_embeddings = PositionEmbeddings::frozen; },
         [](const std::string& name) { return name.find("position_embeddings") != std::string::npos; }},
    };
    for (const Case& freezing : cases) {
        Built frozen = build(freezing.freeze);
        Built trained = build();
        const auto layout = frozen.batch();
        frozen.backward(layout, kDropout);
        trained.backward(layout, kDropout);
        std::int64_t elements = 0;
        std::int64_t frozen_parameters = 0;
        for (const Parameter& parameter : frozen.parameters.list()) {
            EXPECT_EQ(parameter.trained, !freezing.is_frozen(parameter.name)) << parameter.name;
            if (parameter.trained) {
                elements += parameter.elements();
                EXPECT_EQ(distance(frozen.parameters.gradient(parameter), trained.gradient(parameter.name)),
                          0)
                    << parameter.name;
            } else {
                ++frozen_parameters;
            }
        }
        EXPECT_GT(frozen_parameters, 0);
        EXPECT_EQ(frozen.parameters.values().numel(), elements);
        EXPECT_EQ(frozen.parameters.gradients().numel(), elements);
        TrainConfig train;
        train.weight_decay = 0.1;
        AdamOptimizer optimizer(frozen.parameters, train);
        for (int step = 0; step < 3; ++step) {
            frozen.backward(layout, kDropout);
            optimizer.step(0.01);
        }
        Built untouched = build();
        for (const Parameter& parameter : frozen.parameters.list()) {
            const double moved =
                distance(frozen.parameters.value(parameter), untouched.value(parameter.name));
            EXPECT_EQ(moved == 0, !parameter.trained) << parameter.name << " moved by " << moved;
        }
    }
}

TEST_P(AblatedModel, NothingIsComputedBackwardBelowWhatIsFrozen) {
    Built frozen = build([](JobConfig& job) {
        job.train.frozen_embeddings = true;
        job.train.frozen_layers = 1;
    });
    Inspection inspection;
    frozen.model.logits(frozen.batch(), kDropout, &inspection);
    EXPECT_FALSE(inspection.hidden_states[0].requires_grad());
    EXPECT_FALSE(inspection.hidden_states[1].requires_grad());
    EXPECT_TRUE(inspection.hidden_states[2].requires_grad());
}

// --- fusion and pooling by hand ---

at::Tensor first_of_each_text(const at::Tensor& state, const PackedBatch& batch) {
    std::vector<at::Tensor> rows;
    for (std::int64_t text = 0; text < batch.texts(); ++text) {
        rows.push_back(state[batch.offsets[static_cast<std::size_t>(text)]]);
    }
    return at::stack(rows);
}

at::Tensor head_by_hand(Built& built, const at::Tensor& features) {
    const at::Tensor hidden = (at::matmul(features, built.value("classifier.dense.weight").t()) +
                               built.value("classifier.dense.bias"))
                                  .clamp_min(0);
    return at::matmul(hidden, built.value("classifier.out_proj.weight").t()) +
           built.value("classifier.out_proj.bias");
}

TEST_P(AblatedModel, FusionAndPoolingAreWhatTheirNamesSay) {
    for (const Pooling pooling : {Pooling::cls, Pooling::mean}) {
        for (const LayerFusion fusion :
             {LayerFusion::last, LayerFusion::concatenation, LayerFusion::mean, LayerFusion::weighted}) {
            for (const std::vector<std::int64_t>& fused :
                 {std::vector<std::int64_t>{}, std::vector<std::int64_t>{0, 2},
                  std::vector<std::int64_t>{1, 2, 3}, std::vector<std::int64_t>{2}}) {
                Built built = build([&](JobConfig& job) {
                    job.model.num_hidden_layers = 3;
                    job.model.pooling = pooling;
                    job.model.layer_fusion = fusion;
                    job.model.fused_layers = fused;
                });
                const auto layout = built.batch();
                Inspection inspection;
                const at::Tensor inspected = built.model.logits(layout, std::nullopt, &inspection);
                std::vector<std::int64_t> read = fused.empty() ? std::vector<std::int64_t>{1, 2, 3} : fused;
                if (fusion == LayerFusion::last) {
                    read = {3};
                }
                ASSERT_EQ(inspection.hidden_states.size(), static_cast<std::size_t>(read.back()) + 1);
                std::vector<at::Tensor> pooled;
                for (const std::int64_t state : read) {
                    const at::Tensor& values = inspection.hidden_states[static_cast<std::size_t>(state)];
                    pooled.push_back(pooling == Pooling::cls ? first_of_each_text(values, layout->batch)
                                                             : mean_of_each_text(values, layout->batch));
                }
                at::Tensor features = pooled.front();
                if (fusion == LayerFusion::concatenation) {
                    features = at::cat(pooled, 1);
                } else if (fusion == LayerFusion::mean) {
                    features = at::stack(pooled).mean(0);
                } else if (fusion == LayerFusion::weighted) {
                    const at::Tensor weights = built.value("classifier.layer_weights").exp();
                    features = at::zeros_like(pooled.front());
                    for (std::size_t i = 0; i < pooled.size(); ++i) {
                        features =
                            features + pooled[i] * (weights[static_cast<std::int64_t>(i)] / weights.sum());
                    }
                }
                const at::Tensor expected = head_by_hand(built, features);
                EXPECT_LT(distance(inspected, expected), 1e-5);
                // Without inspection the last layer may be computed for first tokens only.
                EXPECT_LT(distance(built.model.logits(layout, std::nullopt), expected), 1e-5);
            }
        }
    }
}

TEST_P(AblatedModel, WindowsArePooledByLogits) {
    for (const WindowPooling pooling : {WindowPooling::mean, WindowPooling::max}) {
        Built built = build([&](JobConfig& job) { job.model.window_pooling = pooling; });
        const TextWindows windows{7, 3};
        const auto layout = built.batch(8, windows);
        ASSERT_GT(layout->batch.texts(), 8);
        const at::Tensor logits = built.model.logits(layout, std::nullopt);
        ASSERT_EQ(logits.size(0), 8);
        for (std::int64_t row = 0; row < 8; ++row) {
            const auto text = built.data.train.tokens(row);
            PackedBatch each;  // every window as a text of its own
            const std::int64_t content = static_cast<std::int64_t>(text.size()) - 2;
            std::int64_t begin = 0;
            while (true) {
                std::vector<std::int32_t> window = {text.front()};
                for (std::int64_t i = begin; i < std::min<std::int64_t>(content, begin + 5); ++i) {
                    window.push_back(text[static_cast<std::size_t>(i + 1)]);
                }
                window.push_back(text.back());
                for (auto& id : window) {
                    id = built.vocabulary.compact_id[static_cast<std::size_t>(id)];
                }
                each.add_text(window, 0, 0);
                if (begin + 5 >= content) {
                    break;
                }
                begin += 3;
            }
            const at::Tensor apart =
                built.model.logits(std::make_shared<BatchLayout>(std::move(each)), std::nullopt);
            const at::Tensor expected =
                pooling == WindowPooling::mean ? apart.mean(0) : std::get<0>(apart.max(0));
            EXPECT_LT(distance(logits[row], expected), 1e-5) << "row " << row;
        }
    }
}

// --- gradients by finite differences ---

TEST_P(AblatedModel, GradientsAreThoseOfTheLoss) {
    for (const Ablation& ablation : ablations()) {
        JobConfig job = synthetic_job();
        ablation.apply(job);
        job.model.head_activation = Activation::tanh;  // without a kink
        if (job.model.model_type != ModelType::roberta) {
            continue;
        }
        Built built(job, GetParam());
        const auto layout = built.batch(6, TextWindows::of(job.tokenizer));
        built.backward(layout, kDropout);
        const auto loss = [&] {
            const at::NoGradGuard no_gradients;
            return summed_cross_entropy(built.model.logits(layout, kDropout), layout->batch.label)
                .item<double>();
        };
        at::Tensor& values = built.parameters.values();
        const at::Tensor gradient = built.parameters.gradients().clone();
        const at::Tensor start = values.clone();
        // Along the gradient itself, where the loss changes most.
        const double norm = gradient.norm().item<double>();
        constexpr double kStep = 2e-3;
        const at::NoGradGuard no_gradients;
        values.copy_(start + gradient * (kStep / norm));
        const double above = loss();
        values.copy_(start - gradient * (kStep / norm));
        const double below = loss();
        EXPECT_NEAR((above - below) / (2 * kStep), norm, 0.01 * norm) << ablation.name;
    }
}

}  // namespace
}  // namespace orchestrate::test
