// The kernels of every instruction set that this machine runs agree with plain sums in double precision: layer norm, GELU
// and attention, forward and backward, at sizes that fit the vectors and at sizes that do not.
#include <cmath>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include "worker/training/kernels/kernels.h"

namespace orchestrate::test {
namespace {

using Values = std::vector<float>;

std::size_t at(std::int64_t index) {
    return static_cast<std::size_t>(index);
}

Values random_values(std::int64_t count, std::uint64_t seed) {
    Values values(at(count));
    for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] = static_cast<float>(mix(seed, i) % 2001) / 1000.0F - 1.0F;
    }
    return values;
}

std::vector<TokenKey> some_keys(std::int64_t rows) {
    std::vector<TokenKey> keys;
    for (std::int64_t row = 0; row < rows; ++row) {
        keys.push_back({static_cast<std::uint32_t>(row / 3), static_cast<std::uint32_t>(row % 3)});
    }
    return keys;
}

double kept(const Dropout& dropout, TokenKey key, std::int64_t element) {
    const bool dropped =
        dropout.enabled() &&
        dropout_random(dropout, key, static_cast<std::uint32_t>(element)) < dropout.threshold;
    return dropped ? 0.0 : dropout.scale;
}

void expect_close(const Values& found, const std::vector<double>& expected, const char* what) {
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
        ASSERT_NEAR(found[i], expected[i], 2e-5 * (1 + std::abs(expected[i]))) << what << ' ' << i;
    }
}

// One row of a layer norm and of its backward pass.
struct NormRow {
    std::vector<double> normalized;
    double inverse = 0;

    explicit NormRow(const std::vector<double>& x, double epsilon) {
        const auto count = static_cast<double>(x.size());
        const double mean = std::accumulate(x.begin(), x.end(), 0.0) / count;
        double squares = 0;
        for (const double one : x) {
            squares += (one - mean) * (one - mean);
        }
        inverse = 1 / std::sqrt(squares / count + epsilon);
        for (const double one : x) {
            normalized.push_back((one - mean) * inverse);
        }
    }

    std::vector<double> backward(const std::vector<double>& gradient) const {
        double mean = 0;
        double product = 0;
        for (std::size_t i = 0; i < gradient.size(); ++i) {
            mean += gradient[i] / static_cast<double>(gradient.size());
            product += gradient[i] * normalized[i] / static_cast<double>(gradient.size());
        }
        std::vector<double> result;
        for (std::size_t i = 0; i < gradient.size(); ++i) {
            result.push_back(inverse * (gradient[i] - mean - normalized[i] * product));
        }
        return result;
    }
};

class RowKernels : public testing::TestWithParam<const Kernels*> {};

TEST_P(RowKernels, AddsAndNormalizes) {
    const Kernels& kernels = *GetParam();
    for (const std::int64_t columns : {50, 128}) {
        for (const double probability : {0.0, 0.2}) {
            constexpr std::int64_t kRows = 11;  // two groups and three alone
            const std::int64_t count = kRows * columns;
            const Dropout dropout = make_dropout(7, 3, 2, probability);
            const auto keys = some_keys(kRows);
            const Values values = random_values(count, 1);
            const Values residual = random_values(count, 2);
            const Values upstream = random_values(count, 3);
            const Values bias = random_values(columns, 4);
            const Values gain = random_values(columns, 5);
            const Values norm_bias = random_values(columns, 6);
            Values normalized(at(count)), inverse(kRows), output(at(count)), of_residual(at(count)),
                of_values(at(count));
            Values of_bias(at(columns), 1.0F), of_gain(at(columns), 2.0F), of_norm_bias(at(columns), 3.0F);
            Values random(at(random_scratch_floats(columns)));
            const LayerNormParameters norm{gain.data(), norm_bias.data(), 1e-5F};
            // In two parts, as two threads would.
            for (const RowRange rows : {RowRange{0, 5}, RowRange{5, kRows}}) {
                kernels.add_norm(rows, columns, values.data(), bias.data(), residual.data(), norm, dropout,
                                 keys.data(), normalized.data(), inverse.data(), output.data(),
                                 random.data());
                kernels.add_norm_backward(rows, columns, upstream.data(), gain.data(), dropout, keys.data(),
                                          normalized.data(), inverse.data(), of_residual.data(),
                                          of_values.data(), of_bias.data(), of_gain.data(),
                                          of_norm_bias.data(), random.data());
            }
            std::vector<double> expected_output, expected_residual, expected_values;
            std::vector<double> expected_bias(at(columns), 1), expected_gain(at(columns), 2),
                expected_norm_bias(at(columns), 3);
            for (std::int64_t row = 0; row < kRows; ++row) {
                std::vector<double> x, gradient;
                for (std::int64_t i = 0; i < columns; ++i) {
                    const auto place = at(row * columns + i);
                    const double sum = static_cast<double>(values[place]) + bias[at(i)];
                    x.push_back(sum * kept(dropout, keys[at(row)], i) + residual[place]);
                    gradient.push_back(static_cast<double>(upstream[place]) * gain[at(i)]);
                }
                const NormRow one(x, 1e-5);
                const std::vector<double> of_sum = one.backward(gradient);
                for (std::int64_t i = 0; i < columns; ++i) {
                    const double up = upstream[at(row * columns + i)];
                    const double of_value = of_sum[at(i)] * kept(dropout, keys[at(row)], i);
                    expected_output.push_back(one.normalized[at(i)] * gain[at(i)] + norm_bias[at(i)]);
                    expected_residual.push_back(of_sum[at(i)]);
                    expected_values.push_back(of_value);
                    expected_bias[at(i)] += of_value;
                    expected_gain[at(i)] += up * one.normalized[at(i)];
                    expected_norm_bias[at(i)] += up;
                }
            }
            expect_close(output, expected_output, "output");
            expect_close(of_residual, expected_residual, "gradient of the residual");
            expect_close(of_values, expected_values, "gradient of the values");
            expect_close(of_bias, expected_bias, "gradient of the bias");
            expect_close(of_gain, expected_gain, "gradient of the gain");
            expect_close(of_norm_bias, expected_norm_bias, "gradient of the norm's bias");
        }
    }
}

TEST_P(RowKernels, Gelu) {
    const Kernels& kernels = *GetParam();
    constexpr std::int64_t kRows = 7;
    constexpr std::int64_t kColumns = 45;
    Values values = random_values(kRows * kColumns, 1);
    for (float& value : values) {
        value *= 6;
    }
    const Values before = values;
    const Values bias = random_values(kColumns, 2);
    const Values upstream = random_values(kRows * kColumns, 3);
    Values output(values.size()), of_values(values.size()), of_bias(kColumns, 0.5F);
    kernels.bias_gelu({0, kRows}, kColumns, values.data(), bias.data(), output.data());
    kernels.bias_gelu_backward({0, kRows}, kColumns, upstream.data(), values.data(), of_values.data(),
                               of_bias.data());
    std::vector<double> expected, expected_gradient, expected_bias(kColumns, 0.5);
    for (std::size_t i = 0; i < values.size(); ++i) {
        const double x = static_cast<double>(before[i]) + bias[i % kColumns];
        const double integral = 0.5 * std::erfc(-x / std::sqrt(2.0));
        const double density = std::exp(-x * x / 2) / std::sqrt(2 * std::acos(-1.0));
        expected.push_back(x * integral);
        expected_gradient.push_back(upstream[i] * (integral + x * density));
        expected_bias[i % kColumns] += expected_gradient.back();
    }
    expect_close(output, expected, "output");
    expect_close(of_values, expected_gradient, "gradient");
    expect_close(of_bias, expected_bias, "gradient of the bias");
}

struct HeadShape {
    std::int64_t heads;
    std::int64_t size;
    bool first_query_only;
};

TEST_P(RowKernels, Attention) {
    const Kernels& kernels = *GetParam();
    const std::vector<std::int64_t> lengths = {1, 13, 34};
    for (const HeadShape& head :
         {HeadShape{2, 16, false}, HeadShape{1, 24, false}, HeadShape{2, 32, true}, HeadShape{3, 5, true}}) {
        for (const double probability : {0.0, 0.2}) {
            const Dropout dropout = make_dropout(3, 1, 4, probability);
            const std::int64_t hidden = head.heads * head.size;
            std::vector<std::int64_t> offsets = {0};
            std::vector<std::int64_t> weight_offsets = {0};
            for (const std::int64_t length : lengths) {
                offsets.push_back(offsets.back() + length);
                weight_offsets.push_back(weight_offsets.back() +
                                         attention_weight_floats(length, head.heads, head.first_query_only));
            }
            const std::vector<std::uint32_t> examples = {4, 0, 9};
            const AttentionShape shape{head.heads,
                                       head.size,
                                       offsets.data(),
                                       weight_offsets.data(),
                                       examples.data(),
                                       head.first_query_only,
                                       34};
            const std::int64_t queries =
                head.first_query_only ? static_cast<std::int64_t>(lengths.size()) : offsets.back();
            const std::int64_t stride = 3 * hidden + 1;
            const Values q = random_values(queries * stride, 1);
            const Values kv = random_values(offsets.back() * stride, 2);
            const Values upstream = random_values(queries * hidden, 3);
            const ColumnsOf query{q.data(), stride};
            const ColumnsOf key{kv.data(), stride};
            const ColumnsOf value{kv.data() + hidden, stride};
            Values weights(at(weight_offsets.back())), output(at(queries * hidden)),
                scratch(at(attention_scratch_floats(shape)));
            Values of_q(q.size()), of_kv(kv.size()), sums(at(3 * hidden), 0.25F);
            const auto texts = static_cast<std::int64_t>(lengths.size());
            kernels.attention({0, texts}, shape, dropout, query, key, value, weights.data(), output.data(),
                              hidden, scratch.data());
            kernels.attention_backward(
                {0, texts}, shape, dropout, query, key, value, weights.data(), upstream.data(), hidden,
                {of_q.data(), stride, sums.data()}, {of_kv.data(), stride, sums.data() + hidden},
                {of_kv.data() + hidden, stride, sums.data() + 2 * hidden}, scratch.data());

            std::vector<double> expected(output.size()), expected_q(q.size()), expected_kv(kv.size()),
                expected_sums(sums.size(), 0.25);
            const double factor = 1 / std::sqrt(static_cast<double>(head.size));
            for (std::size_t text = 0; text < lengths.size(); ++text) {
                for (std::int64_t h = 0; h < head.heads; ++h) {
                    for (std::int64_t i = 0; i < (head.first_query_only ? 1 : lengths[text]); ++i) {
                        const std::int64_t row =
                            head.first_query_only ? static_cast<std::int64_t>(text) : offsets[text] + i;
                        const TokenKey mask_key{examples[text], attention_row(static_cast<std::uint32_t>(h),
                                                                              static_cast<std::uint32_t>(i))};
                        std::vector<double> softmax;
                        for (std::int64_t j = 0; j < lengths[text]; ++j) {
                            double score = 0;
                            for (std::int64_t d = h * head.size; d < (h + 1) * head.size; ++d) {
                                score += static_cast<double>(q[at(row * stride + d)]) *
                                         kv[at((offsets[text] + j) * stride + d)];
                            }
                            softmax.push_back(std::exp(score * factor));
                        }
                        const double sum = std::accumulate(softmax.begin(), softmax.end(), 0.0);
                        std::vector<double> of_weight;
                        double inner = 0;
                        for (std::int64_t j = 0; j < lengths[text]; ++j) {
                            softmax[at(j)] /= sum;
                            const double mask = kept(dropout, mask_key, j);
                            double gradient = 0;
                            for (std::int64_t d = h * head.size; d < (h + 1) * head.size; ++d) {
                                const auto v = at((offsets[text] + j) * stride + hidden + d);
                                const double up = upstream[at(row * hidden + d)];
                                expected[at(row * hidden + d)] += softmax[at(j)] * mask * kv[v];
                                expected_kv[v] += softmax[at(j)] * mask * up;
                                expected_sums[at(2 * hidden + d)] += softmax[at(j)] * mask * up;
                                gradient += mask * up * kv[v];
                            }
                            of_weight.push_back(gradient);
                            inner += gradient * softmax[at(j)];
                        }
                        for (std::int64_t j = 0; j < lengths[text]; ++j) {
                            const double of_score = factor * softmax[at(j)] * (of_weight[at(j)] - inner);
                            for (std::int64_t d = h * head.size; d < (h + 1) * head.size; ++d) {
                                const auto k = at((offsets[text] + j) * stride + d);
                                expected_q[at(row * stride + d)] += of_score * kv[k];
                                expected_kv[k] += of_score * q[at(row * stride + d)];
                                expected_sums[at(d)] += of_score * kv[k];
                                expected_sums[at(hidden + d)] += of_score * q[at(row * stride + d)];
                            }
                        }
                    }
                }
            }
            expect_close(output, expected, "output");
            expect_close(of_q, expected_q, "gradient of the queries");
            expect_close(of_kv, expected_kv, "gradient of keys and values");
            expect_close(sums, expected_sums, "sums of the gradients");
        }
    }
}

INSTANTIATE_TEST_SUITE_P(EveryInstructionSet, RowKernels,
                         testing::ValuesIn(runnable_kernels().begin(), runnable_kernels().end()),
                         [](const auto& kernels) { return std::string(kernels.param->instruction_set); });

}  // namespace
}  // namespace orchestrate::test
