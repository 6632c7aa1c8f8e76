// Which units are masked, and what windows a text is cut into.
#include "worker/training/batches/unit_masks.h"

#include <numeric>

#include <gmock/gmock.h>

#include "worker/training/batches/batches.h"

namespace orchestrate {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::size_t> masked_of(const std::vector<char>& units) {
    std::vector<std::size_t> masked;
    for (std::size_t i = 0; i < units.size(); ++i) {
        if (units[i] != 0) {
            masked.push_back(i);
        }
    }
    return masked;
}

ModelConfig small_model() {
    ModelConfig model;
    model.num_hidden_layers = 3;
    model.num_attention_heads = 4;
    model.intermediate_size = 40;
    model.head_width = 8;
    return model;
}

TEST(UnitMasks, UnitsAreMaskedByName) {
    ModelConfig model = small_model();
    model.kept_layers = {0, 2};
    model.attention_head_mask.units = {{0, 3}, {1, 0}, {2, 1}, {2, 2}};
    model.classifier_mask.units = {{0, 7}};
    const MaskedUnits masked = masked_without_scores(model);
    ASSERT_EQ(masked.heads.size(), 2U);
    EXPECT_THAT(masked_of(masked.heads[0]), ElementsAre(3));
    EXPECT_THAT(masked_of(masked.heads[1]), ElementsAre(1, 2));  // layer 2; layer 1 is left out
    EXPECT_THAT(masked_of(masked.classifier.at(0)), ElementsAre(7));
    EXPECT_EQ(masked.neurons, no_masked_units(model).neurons);
    EXPECT_THAT(describe(model, masked), ElementsAre("3 of 8 attention heads masked: 0.3, 2.1-2",
                                                     "1 of 8 classifier units masked: 0.7"));
    EXPECT_THAT(describe(model, no_masked_units(model)), IsEmpty());
}

TEST(UnitMasks, ARandomShareIsThatShareOfEachLayerAndGrows) {
    ModelConfig model = small_model();
    model.feed_forward_mask = {{}, 0.25, UnitChoice::random, 5};
    const MaskedUnits quarter = masked_without_scores(model);
    EXPECT_EQ(quarter, masked_without_scores(model));
    for (const auto& layer : quarter.neurons) {
        EXPECT_EQ(masked_of(layer).size(), 10U);
    }
    EXPECT_NE(quarter.neurons[0], quarter.neurons[1]);
    model.feed_forward_mask.share = 0.5;
    const MaskedUnits half = masked_without_scores(model);
    for (std::size_t layer = 0; layer < 3; ++layer) {
        EXPECT_EQ(masked_of(half.neurons[layer]).size(), 20U);
        for (const std::size_t unit : masked_of(quarter.neurons[layer])) {
            EXPECT_EQ(half.neurons[layer][unit], 1);
        }
    }
    model.feed_forward_mask.seed = 6;
    EXPECT_NE(half, masked_without_scores(model));
    // A layer keeps its draw when others are left out.
    model.feed_forward_mask.seed = 5;
    model.kept_layers = {1};
    EXPECT_EQ(masked_without_scores(model).neurons.at(0), half.neurons[1]);
}

TEST(UnitMasks, TheLowestScoresAreMaskedBesidesTheNamed) {
    ModelConfig model = small_model();
    model.num_hidden_layers = 1;
    model.attention_head_mask = {{{0, 1}}, 0.5, UnitChoice::lowest_gradient, 0};
    EXPECT_TRUE(needs_scores(model));
    MaskedUnits masked = masked_without_scores(model);
    EXPECT_THAT(masked_of(masked.heads[0]), ElementsAre(1));
    UnitScores scores;
    scores.heads = {{2.0, 0.0, 1.0, 1.0}};
    mask_lowest(model, scores, masked);
    EXPECT_THAT(masked_of(masked.heads[0]), ElementsAre(1, 2, 3));

    model.attention_head_mask = {{}, 0.25, UnitChoice::lowest_activation, 0};
    masked = masked_without_scores(model);
    scores.heads = {{3.0, 2.0, 1.0, 1.0}};
    mask_lowest(model, scores, masked);
    EXPECT_THAT(masked_of(masked.heads[0]), ElementsAre(2));  // of equal ones the first
}

TEST(UnitMasks, ModelsWithoutTheUnitsNeedNoScores) {
    ModelConfig model = small_model();
    EXPECT_FALSE(needs_scores(model));
    model.classifier_mask = {{}, 0.5, UnitChoice::lowest_gradient, 0};
    EXPECT_TRUE(needs_scores(model));
    model.head_width = 0;
    EXPECT_FALSE(needs_scores(model));
    EXPECT_THAT(masked_without_scores(model).classifier, IsEmpty());
}

// Special tokens 100 and 101 around 0, 1, 2, ...
std::vector<std::int32_t> text_of(std::int32_t tokens) {
    std::vector<std::int32_t> text(static_cast<std::size_t>(tokens + 2));
    std::iota(text.begin() + 1, text.end() - 1, 0);
    text.front() = 100;
    text.back() = 101;
    return text;
}

std::vector<std::vector<std::int64_t>> texts_of(const PackedBatch& batch) {
    std::vector<std::vector<std::int64_t>> texts;
    for (std::size_t i = 0; i + 1 < batch.offsets.size(); ++i) {
        texts.emplace_back(batch.token.begin() + batch.offsets[i],
                           batch.token.begin() + batch.offsets[i + 1]);
    }
    return texts;
}

TEST(Windows, CoverATextWithOverlap) {
    PackedBatch batch;
    batch.add_windows(text_of(9), {6, 3}, 2, 7);
    EXPECT_THAT(texts_of(batch),
                ElementsAre(ElementsAre(100, 0, 1, 2, 3, 101), ElementsAre(100, 3, 4, 5, 6, 101),
                            ElementsAre(100, 6, 7, 8, 101)));
    EXPECT_THAT(batch.label, ElementsAre(2));
    EXPECT_THAT(batch.text_offsets, ElementsAre(0, 3));
    EXPECT_EQ(batch.examples(), 1);
    EXPECT_EQ(batch.texts(), 3);
    EXPECT_EQ(batch.longest, 6);
    EXPECT_THAT(batch.position_id, ElementsAre(0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4));
}

TEST(Windows, EndWithTheOneThatHoldsTheTextsEnd) {
    for (const auto& [tokens, windows] : std::vector<std::pair<std::int32_t, std::int64_t>>{
             {3, 1}, {4, 1}, {5, 2}, {7, 2}, {8, 3}, {10, 3}, {11, 4}}) {
        PackedBatch batch;
        batch.add_windows(text_of(tokens), {6, 3}, 0, 0);
        EXPECT_EQ(batch.texts(), windows) << tokens << " tokens";
        EXPECT_EQ(batch.token.at(static_cast<std::size_t>(batch.rows() - 2)), tokens - 1);
    }
    PackedBatch apart;  // windows that only touch
    apart.add_windows(text_of(8), {6, 4}, 0, 0);
    EXPECT_THAT(texts_of(apart),
                ElementsAre(ElementsAre(100, 0, 1, 2, 3, 101), ElementsAre(100, 4, 5, 6, 7, 101)));
}

TEST(Windows, OfOneTextHaveDropoutOfTheirOwn) {
    PackedBatch batch;
    batch.add_windows(text_of(9), {6, 3}, 0, 7);
    batch.add_windows(text_of(9), {6, 3}, 0, 8);
    std::vector<std::uint32_t> keys = batch.example;
    std::sort(keys.begin(), keys.end());
    EXPECT_EQ(std::unique(keys.begin(), keys.end()), keys.end());
    EXPECT_EQ(batch.token_key[0].example, 7U);  // the first window's are those of a text without windows
    for (std::size_t i = 0; i < batch.example.size(); ++i) {
        EXPECT_EQ(batch.text_key[i].example, batch.example[i]);
        EXPECT_EQ(batch.token_key[static_cast<std::size_t>(batch.offsets[i])].example, batch.example[i]);
    }
}

TEST(Windows, AShortTextIsAsWithoutThem) {
    PackedBatch without;
    without.add_text(text_of(4), 1, 3);
    for (const TextWindows windows : {TextWindows{0, 0}, TextWindows{6, 2}}) {
        PackedBatch batch;
        batch.add_windows(text_of(4), windows, 1, 3);
        EXPECT_EQ(batch.token, without.token);
        EXPECT_EQ(batch.offsets, without.offsets);
        EXPECT_EQ(batch.example, without.example);
        EXPECT_EQ(batch.text_offsets, without.text_offsets);
    }
}

}  // namespace
}  // namespace orchestrate
