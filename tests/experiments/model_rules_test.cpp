// What the study language knows about ablations of the model: what cannot be, and what is the same.
#include <gmock/gmock.h>

#include "study_files.h"

namespace orchestrate::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

struct BadModel {
    std::string name;  // of the test
    std::string toml;
    std::string field;  // pointed at
    std::string message;
};

void PrintTo(const BadModel& bad, std::ostream* output) {
    *output << bad.name;
}

class ModelRules : public ::testing::TestWithParam<BadModel> {};

TEST_P(ModelRules, SayWhatWasFoundAndWhatWasExpected) {
    const StudyFolder folder;
    const auto diagnostics =
        folder.diagnostics(kDataSection + "[model]\nnum_hidden_layers = 4\n" + GetParam().toml);
    ASSERT_THAT(diagnostics, SizeIs(1)) << (diagnostics.empty() ? "" : StudyError(diagnostics).what());
    EXPECT_THAT(diagnostics.front().message, HasSubstr(GetParam().message));
    EXPECT_THAT(diagnostics.front().source_line, HasSubstr(GetParam().field));
}

INSTANTIATE_TEST_SUITE_P(
    Ablations, ModelRules,
    ::testing::Values(
        BadModel{"kept_layer", "kept_layers = [0, 4]", "kept_layers",
                 "model.kept_layers names layer 4, but model.num_hidden_layers = 4 makes layers 0 to 3"},
        BadModel{"fused_state", "kept_layers = 2\nlayer_fusion = \"mean\"\nfused_layers = [0, 3]",
                 "fused_layers",
                 "names state 3, but 2 layers are kept; expected from 0, the embeddings, to 2"},
        BadModel{"frozen_layers", "kept_layers = [2]\n[train]\nfrozen_layers = 2", "frozen_layers",
                 "train.frozen_layers = 2, but 1 layer is kept; expected at most 1, or \"all\""},
        BadModel{"head_layer", "attention_head_mask.units = [\"4.0\"]", "units",
                 "names attention head 4.0, but model.num_hidden_layers = 4 makes layers 0 to 3"},
        BadModel{"head", "attention_head_mask.units = [\"0.1\", \"1.2\"]", "units",
                 "names attention head 2, but model.num_attention_heads = 2; expected from 0 to 1"},
        BadModel{"neuron", "feed_forward_mask.units = [\"0.200-300\"]", "units",
                 "names neuron 256, but model.intermediate_size = 256; expected from 0 to 255"},
        BadModel{"unit", "head_width = 8\nclassifier_mask.units = [\"8\"]", "units",
                 "names unit 8, but model.head_width = 8; expected from 0 to 7"},
        BadModel{"share_of_nothing", "attention_head_mask.share = 0.1", "share",
                 "model.attention_head_mask.share = 0.1 of model.num_attention_heads = 2 rounds to no "
                 "attention head; expected at least 0.25, or 0"},
        BadModel{"no_unit_left", "head_width = 4\nclassifier_mask = { units = [\"0-1\"], share = 0.5 }",
                 "units", "leaves none of the model.head_width = 4 units"},
        BadModel{"window_without_room", "[tokenizer]\nwindow_length = 2", "window_length",
                 "has no room for a token between the two special ones; expected at least 3"},
        BadModel{"window_that_stands", "[tokenizer]\nwindow_length = 32", "window_length",
                 "tokenizer.window_stride = 0 does not move the window; expected from 1 to 30"},
        BadModel{"window_with_gaps", "[tokenizer]\nwindow_length = 32\nwindow_stride = 31", "window_stride",
                 "leaves tokens out between two windows; expected from 1 to 30"},
        BadModel{"too_many_windows", "[tokenizer]\nmax_length = 8000\nwindow_length = 3\nwindow_stride = 1",
                 "window_stride", "makes 7998 windows; expected at most 4096"},
        BadModel{
            "window_beyond_positions",
            "max_position_embeddings = 30\n[tokenizer]\nwindow_length = 32\nwindow_stride = 16",
            "window_length",
            "tokenizer.window_length = 32 needs model.max_position_embeddings of at least 34, found 30"}),
    [](const auto& test) { return test.param.name; });

TEST(ModelRules, LetPass) {
    const StudyFolder folder;
    for (const std::string fine : {
             "attention_head_mask = { units = [\"0.0-1\"] }",                // all heads of a layer
             "max_position_embeddings = 6\nposition_embeddings = \"none\"",  // positions are not used
             "max_position_embeddings = 34\n[tokenizer]\nmax_length = 500\nwindow_length = 32\n"
             "window_stride = 30",
             "kept_layers = [3]\n[train]\nfrozen_layers = \"all\"",
             "kept_layers = [3]\nfeed_forward_mask.units = [\"1.5\"]",  // of a layer that is not kept
             "head_width = \"none\"\nclassifier_mask.units = [\"99\"]",
         }) {
        const auto diagnostics = folder.diagnostics(kDataSection + "[model]\nnum_hidden_layers = 4\n" + fine);
        EXPECT_THAT(diagnostics, IsEmpty()) << fine << "\n" << StudyError(diagnostics).what();
    }
}

// The identity of the only job of a study with these [model] lines and what follows.
std::string identity(const StudyFolder& folder, const std::string& model) {
    return job_identity(
        last_stage(folder.load(kDataSection + "[model]\nnum_hidden_layers = 4\n" + model)).front().config);
}

TEST(ModelIdentity, FieldsWithoutEffectDoNotCount) {
    const StudyFolder folder;
    const auto same = [&](const std::string& a, const std::string& b) {
        EXPECT_EQ(identity(folder, a), identity(folder, b)) << a << "\n--\n" << b;
    };
    same("", "kept_layers = [3, 2, 1, 0]");
    same("", "kept_layers = 4");
    same("", "feed_forward_mask = { choice = \"lowest_gradient\", seed = 7 }");
    same("feed_forward_mask = { share = 0.5, choice = \"lowest_gradient\" }",
         "feed_forward_mask = { share = 0.5, choice = \"lowest_gradient\", seed = 7 }");
    same("head_width = \"none\"", "head_width = \"none\"\nclassifier_mask = { share = 0.5, seed = 3 }");
    same("kept_layers = [0, 1]", "kept_layers = 2\nattention_head_mask.units = [\"3.1\"]");
    same("", "fused_layers = [1, 2]");
    same("", "layer_fusion = \"weighted\"\nfused_layers = [4]");
    same("layer_fusion = \"mean\"", "layer_fusion = \"mean\"\nfused_layers = [4, 3, 2, 1]");
    same("layer_fusion = \"mean\"\nfused_layers = [2]",
         "layer_fusion = \"concatenation\"\nfused_layers = [2]");
    same("", "window_pooling = \"max\"");
    same("", "window_pooling = \"max\"\n[tokenizer]\nwindow_length = 128\nwindow_stride = 9");
    same("[train]\nfrozen_layers = \"all\"", "[train]\nfrozen_layers = 4");
    same("[train]\nfrozen_embeddings = true",
         "position_embeddings = \"frozen\"\n[train]\nfrozen_embeddings = true");
}

TEST(ModelIdentity, FieldsWithAnEffectCount) {
    const StudyFolder folder;
    std::vector<std::string> identities;
    for (const std::string model : {
             "",
             "kept_layers = [0, 1, 2]",
             "kept_layers = [1, 2, 3]",
             "position_embeddings = \"none\"",
             "position_embeddings = \"frozen\"",
             "attention_head_mask.units = [\"0.0\"]",
             "attention_head_mask.units = [\"1.0\"]",
             "feed_forward_mask.share = 0.25",
             "feed_forward_mask = { share = 0.25, seed = 1 }",
             "feed_forward_mask = { share = 0.25, choice = \"lowest_activation\" }",
             "classifier_mask.units = [\"0\"]",
             "layer_fusion = \"mean\"",
             "layer_fusion = \"mean\"\nfused_layers = [0, 1, 2, 3, 4]",
             "layer_fusion = \"weighted\"",
             "layer_fusion = \"mean\"\nfused_layers = [3]",
             "pooling = \"mean\"",
             "[tokenizer]\nwindow_length = 64\nwindow_stride = 32",
             "window_pooling = \"max\"\n[tokenizer]\nwindow_length = 64\nwindow_stride = 32",
             "[train]\nfrozen_layers = 1",
             "[train]\nfrozen_layers = \"all\"",
             "[train]\nfrozen_embeddings = true",
         }) {
        identities.push_back(identity(folder, model));
    }
    const std::size_t count = identities.size();
    std::sort(identities.begin(), identities.end());
    identities.erase(std::unique(identities.begin(), identities.end()), identities.end());
    EXPECT_EQ(identities.size(), count);
}

// What the baseline says of a part that it does not use is kept for the variants that use it.
TEST(ModelIdentity, VariantsSeeWhatTheFileSaysOfPartsThatTheBaselineDoesNotUse) {
    const StudyFolder folder;
    const auto variants = last_stage(folder.load(kDataSection + R"([model]
num_hidden_layers = 4
fused_layers = [2, 4]
feed_forward_mask = { choice = "lowest_activation" }
[[ablation]]
set = { "model.layer_fusion" = "mean" }
[[ablation]]
set = { "model.feed_forward_mask.share" = 0.5 }
)"));
    ASSERT_EQ(variants.size(), 3U);
    EXPECT_THAT(variants[0].config.model.fused_layers, IsEmpty());
    EXPECT_THAT(variants[1].config.model.fused_layers, ElementsAre(2, 4));
    EXPECT_EQ(variants[2].config.model.feed_forward_mask.choice, UnitChoice::lowest_activation);
}

TEST(ModelAblations, HaveReadableNames) {
    const StudyFolder folder;
    const auto variants = last_stage(folder.load(kDataSection + R"([model]
num_hidden_layers = 4
num_attention_heads = 4
[[ablation]]
sweep = { "model.kept_layers" = [2, [3], [0, 2, 3]] }
[[ablation]]
sweep = { "model.position_embeddings" = ["frozen", "none"] }
[[ablation]]
set = { "model.attention_head_mask.units" = ["0.1", "2.0-2"] }
[[ablation]]
sweep = { "model.feed_forward_mask.share" = [0.5], "model.feed_forward_mask.choice" = ["random", "lowest_activation", "lowest_gradient"] }
[[ablation]]
set = { "model.classifier_mask.share" = 0.25 }
[[ablation]]
set = { "train.frozen_embeddings" = true }
[[ablation]]
sweep = { "train.frozen_layers" = [1, 2, "all"] }
[[ablation]]
sweep = { "model.layer_fusion" = ["concatenation", "weighted"], "model.fused_layers" = [[2, 4], "all"] }
[[ablation]]
set = { "model.pooling" = "mean" }
[[ablation]]
sweep = { "tokenizer.window_length" = [32], "tokenizer.window_stride" = [16], "model.window_pooling" = ["mean", "max"] }
)"));
    EXPECT_THAT(
        names_of(variants),
        ElementsAre("baseline", "first 2 layers", "layer 3 alone", "layers 0, 2 and 3",
                    "frozen position embeddings", "no position embeddings", "without heads 0.1 and 2.0-2",
                    "50 % of neurons masked at random", "50 % of neurons masked by lowest activation",
                    "50 % of neurons masked by lowest gradient", "25 % of classifier units masked at random",
                    "frozen embeddings", "lowest layer frozen", "lowest 2 layers frozen", "all layers frozen",
                    "fusion: concatenation, fused layers 2 and 4", "fusion: concatenation, fused layers all",
                    "fusion: weighted, fused layers 2 and 4", "fusion: weighted, fused layers all",
                    "pooling: mean", "window length 32, window stride 16, window pooling: mean",
                    "window length 32, window stride 16, window pooling: max"));
}

}  // namespace
}  // namespace orchestrate::testing
