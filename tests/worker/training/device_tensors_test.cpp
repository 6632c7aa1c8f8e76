// What devices compute with tensors alone: random numbers, batches in buffers, the kernels' comparison with plain ones.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/worker/training/synthetic_data.h"
#include "worker/training/operations/device_kernels.h"
#include "worker/training/operations/device_random.h"
#include "worker/training/operations/rounded_weights.h"

namespace orchestrate::test {
namespace {

using testing::HasSubstr;

at::Tensor words(const std::vector<std::uint32_t>& values) {
    return at::tensor(std::vector<std::int32_t>(values.begin(), values.end()), at::kInt);
}

TEST(DeviceRandomTest, KeepsWhatTheHostsMasksKeep) {
    const std::vector<std::uint32_t> examples = {0, 1, 15, 15 | 3U << 20, 0xFFFFFFFFU};
    const std::vector<std::uint32_t> positions = {0, 7, attention_row(11, 71), 0x80000000U, 0xFFFFFFFFU};
    for (const std::uint64_t seed : {0ULL, 11ULL, 0x8000000000000001ULL}) {
        for (const std::int64_t step : {0LL, 1LL, 5'000'000'000LL}) {
            for (const std::uint32_t site : {0U, 37U, 0x10001U}) {
                for (const std::int64_t columns : {1LL, 63LL, 64LL, 200LL}) {
                    const Dropout dropout = make_dropout(seed, step, site, 0.3);
                    const at::Tensor kept = keyed_keep({words(examples), words(positions)}, columns, dropout,
                                                       words({dropout.key[0], dropout.key[1]}));
                    ASSERT_EQ(kept.sizes(), (std::vector<std::int64_t>{5, columns}));
                    for (std::size_t row = 0; row < examples.size(); ++row) {
                        for (std::int64_t i = 0; i < columns; ++i) {
                            const TokenKey key{examples[row], positions[row]};
                            ASSERT_EQ(kept[static_cast<std::int64_t>(row)][i].item<bool>(),
                                      dropout_random(dropout, key, static_cast<std::uint32_t>(i)) >=
                                          dropout.threshold)
                                << seed << ' ' << step << ' ' << site << ' ' << row << ' ' << i;
                        }
                    }
                }
            }
        }
    }
}

PackedBatch some_batch(bool with_types) {
    PackedBatch batch;
    batch.add_text(std::vector<std::int32_t>{3, 4, 5}, 1, 8,
                   with_types ? std::vector<std::int32_t>{0, 0, 1} : std::vector<std::int32_t>{});
    batch.add_text(std::vector<std::int32_t>{6, 7, 8, 9, 10}, 2, 9,
                   with_types ? std::vector<std::int32_t>{0, 1, 1, 1, 1} : std::vector<std::int32_t>{});
    return batch;
}

std::vector<std::int64_t> list(const at::Tensor& tensor) {
    const at::Tensor whole = tensor.to(at::kLong).contiguous();
    return {whole.const_data_ptr<std::int64_t>(), whole.const_data_ptr<std::int64_t>() + whole.numel()};
}

TEST(BatchTensorsTest, AreWhatTheBatchHolds) {
    const BatchTensors tensors = tensors_of(some_batch(true), at::kCPU);
    EXPECT_EQ(list(tensors.token), (std::vector<std::int64_t>{3, 4, 5, 6, 7, 8, 9, 10}));
    EXPECT_EQ(list(tensors.position), (std::vector<std::int64_t>{0, 1, 2, 0, 1, 2, 3, 4}));
    EXPECT_EQ(list(tensors.type), (std::vector<std::int64_t>{0, 0, 1, 0, 1, 1, 1, 1}));
    EXPECT_EQ(list(tensors.row_text), (std::vector<std::int64_t>{0, 0, 0, 1, 1, 1, 1, 1}));
    EXPECT_EQ(list(tensors.row_example), (std::vector<std::int64_t>{8, 8, 8, 9, 9, 9, 9, 9}));
    EXPECT_EQ(list(tensors.text_begin), (std::vector<std::int64_t>{0, 3, 8}));
    EXPECT_EQ(list(tensors.text_example), (std::vector<std::int64_t>{8, 9}));
    EXPECT_EQ(list(tensors.example_begin), (std::vector<std::int64_t>{0, 1, 2}));
    EXPECT_EQ(list(tensors.label), (std::vector<std::int64_t>{1, 2}));
    EXPECT_FALSE(tensors.dropout_key.defined());
    EXPECT_FALSE(tensors_of(some_batch(false), at::kCPU).type.defined());
}

TEST(BatchTensorsTest, HoldTheKeyOfAStep) {
    const PackedBatch batch = some_batch(false);
    const BatchShape shape = BatchShape::of(batch);
    const at::Tensor buffer = at::zeros({shape.numbers()}, at::kInt);
    write_numbers(batch, {.seed = 11, .step = 4, .inverse_weight = 0.25},
                  {buffer.mutable_data_ptr<std::int32_t>(), static_cast<std::size_t>(shape.numbers())});
    const BatchTensors tensors = views_of(buffer, shape);
    const Dropout dropout = make_dropout(11, 4, 0, 0.5);
    EXPECT_EQ(list(tensors.dropout_key),
              (std::vector<std::int64_t>{static_cast<std::int32_t>(dropout.key[0]),
                                         static_cast<std::int32_t>(dropout.key[1])}));
    EXPECT_EQ(tensors.inverse_weight.item<float>(), 0.25F);
}

TEST(BatchTensorsTest, PaddingAddsTextsThatDoNotCount) {
    for (const bool with_types : {false, true}) {
        PackedBatch batch = some_batch(with_types);
        const BatchShape shape = padded_shape(BatchShape::of(batch));
        pad_to(shape, batch);
        EXPECT_EQ(BatchShape::of(batch), shape);
        EXPECT_EQ(batch.label, (std::vector<std::int64_t>{1, 2, kIgnoredLabel}));
        EXPECT_EQ(batch.offsets, (std::vector<std::int64_t>{0, 3, 8, shape.rows}));
    }
    PackedBatch small = some_batch(false);
    BatchShape too_small = BatchShape::of(small);
    ++too_small.texts;
    EXPECT_THROW(pad_to(too_small, small), std::logic_error);
}

TEST(BatchTensorsTest, EveryBatchCanBePadded) {
    for (std::int64_t texts = 1; texts < 400; texts += 7) {
        for (const std::int64_t length : {1, 2, 3, 16, 17, 72, 512}) {
            PackedBatch batch;
            for (std::int64_t i = 0; i < texts; ++i) {
                batch.add_text(std::vector<std::int32_t>(static_cast<std::size_t>(length), 1), 0, 0);
            }
            const BatchShape shape = padded_shape(BatchShape::of(batch));
            pad_to(shape, batch);
            EXPECT_EQ(BatchShape::of(batch), shape);
            for (std::size_t i = 0; i + 1 < batch.offsets.size(); ++i) {
                ASSERT_GT(batch.offsets[i + 1], batch.offsets[i]);
                ASSERT_LE(batch.offsets[i + 1] - batch.offsets[i], shape.longest);
            }
        }
    }
}

TEST(BatchTensorsTest, FewShapesStandForAllBatches) {
    std::vector<BatchShape> shapes;
    for (std::int64_t rows = 1100; rows < 1200; ++rows) {
        for (std::int64_t longest = 70; longest < 80; ++longest) {
            const BatchShape padded = padded_shape({rows, 16, 16, longest, false});
            EXPECT_GT(padded.rows, rows);
            EXPECT_LE(padded.rows, rows + rows / 30);
            EXPECT_GE(padded.longest, longest);
            shapes.push_back(padded);
        }
    }
    std::sort(shapes.begin(), shapes.end());
    shapes.erase(std::unique(shapes.begin(), shapes.end()), shapes.end());
    EXPECT_LE(shapes.size(), 5U);
}

TEST(RoundedWeightsTest, FollowTheValues) {
    at::Tensor values = at::arange(12, at::kFloat) + 0.001;
    Bf16Weights rounded(values);
    const at::Tensor view = values.narrow(0, 4, 6).view({2, 3}).detach();
    EXPECT_TRUE(rounded.of(view).equal(view.to(at::kBFloat16)));
    values.mul_(3);
    EXPECT_TRUE(rounded.of(view).equal(view.to(at::kBFloat16)));
    EXPECT_FALSE(rounded.of(view * 2).defined());
}

// What DeviceKernels promise of attention, text by text.
FlashResult attention_of_each_text(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                   const VariedLengths& lengths) {
    FlashResult result;
    result.output = at::zeros(query.sizes(), query.options());
    const auto query_begin = list(lengths.query_begin);
    const auto key_begin = list(lengths.key_begin);
    for (std::size_t text = 0; text + 1 < query_begin.size(); ++text) {
        const auto part = [&](const at::Tensor& x, const std::vector<std::int64_t>& begin) {
            return x.narrow(0, begin[text], begin[text + 1] - begin[text]).transpose(0, 1).to(at::kFloat);
        };
        const at::Tensor scores = at::matmul(part(query, query_begin), part(key, key_begin).transpose(1, 2));
        const at::Tensor weights = (scores / std::sqrt(static_cast<double>(query.size(2)))).softmax(-1);
        result.output.narrow(0, query_begin[text], query_begin[text + 1] - query_begin[text])
            .copy_(at::matmul(weights, part(value, key_begin)).transpose(0, 1));
    }
    return result;
}

TEST(DeviceKernelsTest, WhatIsWrongIsPutBackAndTold) {
    DeviceKernels wrong = plain_kernels();
    EXPECT_TRUE(self_check_kernels(wrong, at::kCPU).empty());
    wrong.keep = [](const RowDropout& dropout, std::int64_t columns) {
        return plain_kernels().keep(dropout, columns).logical_not();
    };
    wrong.bias_gelu = [](const at::Tensor& values, const at::Tensor& bias) {
        return at::relu(values + bias);
    };
    wrong.add_product = [](const at::Tensor&, const at::Tensor&, const at::Tensor&) {
        throw std::runtime_error("not there");
    };
    wrong.add_norm_backward = [](const at::Tensor& gradient, const AddNormResult& forward,
                                 const at::Tensor& gain, const RowDropout& dropout) {
        AddNormGradients found = plain_kernels().add_norm_backward(gradient, forward, gain, dropout);
        found.bias = found.bias * 1.01;
        return found;
    };
    wrong.flash_attention = attention_of_each_text;
    wrong.flash_attention_backward = [](const at::Tensor&, const at::Tensor& query, const at::Tensor& key,
                                        const at::Tensor& value, const FlashResult&, const VariedLengths&) {
        return FlashGradients{query, key, value};
    };
    const auto lines = self_check_kernels(wrong, at::kCPU);
    ASSERT_EQ(lines.size(), 5U);
    EXPECT_THAT(lines[0], HasSubstr("dropout masks"));
    EXPECT_THAT(lines[1], HasSubstr("norm"));
    EXPECT_THAT(lines[2], HasSubstr("GELU"));
    EXPECT_THAT(lines[3], HasSubstr("not there"));
    EXPECT_THAT(lines[4], HasSubstr("flash attention"));
    EXPECT_FALSE(wrong.flash_attention);
    EXPECT_TRUE(self_check_kernels(wrong, at::kCPU).empty());
}

}  // namespace
}  // namespace orchestrate::test
