#include <algorithm>

#include <gmock/gmock.h>

#include "common/base/sha256.h"
#include "common/data/pretrained_config.h"
#include "common/data/vocabulary.h"
#include "experiments/load_study.h"
#include "experiments/plan.h"
#include "study_files.h"

namespace orchestrate::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Study, SaysWhatTheFileSays) {
    const StudyFolder folder;
    const auto study = folder.load(kDataSection + R"(
text = { form = "rounded", decimals = 3 }
max_rows = 30
classes = ["punk", "funk"]
[data.split]
train = 0.5
validation = 0.25
test = 0.25
group_by = ["track_id", { column = "genre", first_of = ";" }]
stratify = false
seed = 9
[study]
name = "mine"
seeds = [4, 2]
ranks = 2
[model]
hidden_size = 32
head_width = "none"
head_activation = "gelu"
hidden_dropout_prob = 0
[train]
learning_rate = 5e-4
learning_rate_schedule = "cosine"
precision = "bf16"
epoch_selection = "last"
[tokenizer]
max_length = 50
vocabulary_size = 300
[cluster]
kind = "slurm"
device = "cpu"
nodes = 2
time_limit = "2-00:00:00"
sbatch_options = ["--exclusive"]
)");
    EXPECT_EQ(study.name, "mine");
    EXPECT_EQ(study.paths.data, (folder.path() / "tracks.csv").string());
    EXPECT_EQ(study.base.data.sha256, sha256_hex_of_content(folder.path() / "tracks.csv"));
    EXPECT_EQ(study.base.data.text.form, TextForm::rounded);
    EXPECT_EQ(study.base.data.text.decimals, 3);
    EXPECT_EQ(study.base.data.max_rows, 30);
    EXPECT_THAT(study.base.data.classes, ElementsAre("funk", "punk"));
    EXPECT_THAT(study.base.data.features, ElementsAre("energy", "tempo", "valence"));
    EXPECT_EQ(study.base.data.split.validation, 0.25);
    EXPECT_THAT(study.base.data.split.group_by,
                ElementsAre(GroupColumn{"track_id", ""}, GroupColumn{"genre", ";"}));
    EXPECT_FALSE(study.base.data.split.stratify);
    EXPECT_EQ(study.base.data.split.seed, 9U);
    EXPECT_EQ(study.base.model.hidden_size, 32);
    EXPECT_EQ(study.base.model.head_width, 0);
    EXPECT_EQ(study.base.model.hidden_dropout_prob, 0);
    EXPECT_EQ(study.base.train.learning_rate, 5e-4);
    EXPECT_EQ(study.base.train.learning_rate_schedule, LearningRateSchedule::cosine);
    EXPECT_EQ(study.base.train.precision, Precision::bf16);
    EXPECT_EQ(study.base.train.epoch_selection, EpochSelection::last);
    EXPECT_EQ(study.base.tokenizer.max_length, 50);
    EXPECT_EQ(study.base.tokenizer.vocabulary_size, 300);
    EXPECT_EQ(study.cluster.kind, ClusterKind::slurm);
    EXPECT_EQ(study.cluster.nodes, 2);
    EXPECT_EQ(study.cluster.time_limit, "2-00:00:00");
    EXPECT_THAT(study.cluster.sbatch_options, ElementsAre("--exclusive"));
    const auto variants = last_stage(study);
    ASSERT_EQ(variants.size(), 1U);
    EXPECT_TRUE(variants[0].is_baseline);
    EXPECT_EQ(variants[0].resources.ranks, 2);
    EXPECT_THAT(seeds_of(variants[0]), ElementsAre(SeedConfig{4, 4}, SeedConfig{2, 2}));
}

TEST(Study, DefaultsAreThoseOfTheStructs) {
    const StudyFolder folder;
    const auto study = folder.load(kDataSection + "[cluster]\ndevice = \"cpu\"\n");
    EXPECT_EQ(study.name, "study");
    EXPECT_EQ(study.base.model, ModelConfig{});
    EXPECT_EQ(study.base.train, TrainConfig{});
    EXPECT_EQ(study.base.tokenizer, TokenizerConfig{});
    EXPECT_THAT(seeds_of(last_stage(study)[0]), ElementsAre(SeedConfig{1, 1}));
    EXPECT_THAT(study.warnings, IsEmpty());
}

TEST(Study, AutomaticPrecisionIsThatOfTheDeviceThatWorkersUse) {
    const StudyFolder folder;
    DevicePrecision devices;
    const auto precision = [&](const std::string& cluster, const std::string& written) {
        const auto file = folder.write("study.toml", kDataSection + "[train]\nprecision = \"" + written +
                                                         "\"\n[cluster]\n" + cluster + "\n");
        return load_study(file, {}, devices).base.train.precision;
    };
    EXPECT_EQ(precision("", "auto"), Precision::fp32);
    devices.cpu = Precision::bf16;
    EXPECT_EQ(precision("", "auto"), Precision::bf16);
    EXPECT_EQ(precision("", "fp32"), Precision::fp32);
    EXPECT_EQ(precision("device = \"cuda\"", "auto"), Precision::fp32);
    EXPECT_EQ(precision("device = \"cuda\"", "bf16"), Precision::bf16);
    EXPECT_EQ(precision("kind = \"slurm\"", "auto"), Precision::fp32);
    devices = {.cpu = Precision::fp32, .cuda = Precision::bf16, .has_gpu = true};
    EXPECT_EQ(precision("", "auto"), Precision::bf16);
    EXPECT_EQ(precision("device = \"cpu\"", "auto"), Precision::fp32);
    // It is part of what a job is.
    devices.has_gpu = false;
    const auto identity = [&] {
        return job_identity(load_study(folder.write("study.toml", kDataSection), {}, devices).base);
    };
    const auto before = identity();
    devices.cpu = Precision::bf16;
    EXPECT_NE(before, identity());
}

TEST(Study, SeedsMayBeACount) {
    const StudyFolder folder;
    EXPECT_THAT(seeds_of(last_stage(folder.load(kDataSection + "[study]\nseeds = 3\n"))[0]),
                ElementsAre(SeedConfig{1, 1}, SeedConfig{2, 2}, SeedConfig{3, 3}));
}

TEST(Study, TheVocabularyIsKnownByItsContent) {
    const StudyFolder folder;
    std::filesystem::create_directory(folder.path() / "words");
    folder.write("words/vocab.json", "{}");
    folder.write("words/merges.txt", "#version: 0.2\n");
    const auto study = folder.load(kDataSection + "[tokenizer]\nvocabulary = \"words\"\n");
    EXPECT_EQ(study.paths.vocabulary, (folder.path() / "words").string());
    EXPECT_EQ(study.base.tokenizer.vocabulary_sha256, sha256_hex_of_vocabulary(folder.path() / "words"));
}

TEST(Study, AVocabularyOfBertIsKnownByItsFile) {
    const StudyFolder folder;
    std::filesystem::create_directory(folder.path() / "words");
    folder.write("words/vocab.txt", "[PAD]\n");
    const std::string text = kDataSection + "[tokenizer]\nvocabulary = \"words\"\n";
    EXPECT_EQ(folder.load(text).base.tokenizer.kind, TokenizerKind::word_piece);
    folder.write("words/tokenizer_config.json", R"({"do_lower_case": false})");
    try {
        folder.load(text);
        ADD_FAILURE() << "a cased vocabulary was taken for an uncased one";
    } catch (const StudyError& error) {
        EXPECT_THAT(error.what(), testing::HasSubstr("do_lower_case is false, expected true"));
    }
}

const std::string kPretrained = kDataSection + "[model]\npretrained = \"model\"\n";

TEST(Study, PretrainedWeightsSettleTheModelAndItsVocabulary) {
    const StudyFolder folder;
    write_small_model(folder, "model");
    const auto study = folder.load(kPretrained + "classifier_dropout = 0.3\n");
    const ModelConfig& model = study.base.model;
    EXPECT_EQ(study.paths.pretrained, (folder.path() / "model").string());
    EXPECT_EQ(model.pretrained_sha256, sha256_hex_of_pretrained(folder.path() / "model"));
    EXPECT_EQ(model.model_type, ModelType::bert);
    EXPECT_EQ(model.hidden_size, 32);
    EXPECT_EQ(model.num_hidden_layers, 3);
    EXPECT_EQ(model.layer_norm_eps, 1e-12);
    EXPECT_EQ(model.head_width, 32);
    EXPECT_EQ(model.head_activation, Activation::tanh);
    EXPECT_EQ(model.hidden_dropout_prob, 0.2);
    EXPECT_EQ(model.classifier_dropout, 0.3);
    EXPECT_EQ(study.base.tokenizer.kind, TokenizerKind::word_piece);
    EXPECT_EQ(study.paths.vocabulary, study.paths.pretrained);
    const std::string identity = job_identity(study.base);
    folder.write("model/model.safetensors", "other weights");
    EXPECT_NE(job_identity(folder.load(kPretrained + "classifier_dropout = 0.3\n").base), identity);
}

TEST(Study, FromScratchIsAnAblationOfPretrainedWeights) {
    const StudyFolder folder;
    write_small_model(folder, "model");
    const auto variants = last_stage(
        folder.load(kPretrained +
                    "[[ablation]]\nset = { \"model.pretrained\" = \"none\" }\n"
                    "[[ablation]]\nset = { \"model.pretrained\" = \"none\", \"model.hidden_size\" = 64 }\n"));
    ASSERT_EQ(variants.size(), 3U);
    EXPECT_EQ(variants[1].name, "from scratch");
    EXPECT_EQ(variants[1].config.model.pretrained_sha256, "");
    EXPECT_EQ(variants[1].config.model.hidden_size, 32);
    EXPECT_EQ(variants[2].config.model.hidden_size, 64);
}

TEST(Study, WhatContradictsPretrainedWeightsIsAMistake) {
    const StudyFolder folder;
    write_small_model(folder, "model");
    const auto error_of = [&](const std::string& text) {
        try {
            folder.load(text);
        } catch (const StudyError& error) {
            return std::string(error.what());
        }
        return std::string("no error");
    };
    EXPECT_THAT(error_of(kPretrained + "hidden_size = 64\n"),
                testing::AllOf(testing::HasSubstr("model.hidden_size is 64"), testing::HasSubstr("says 32"),
                               testing::HasSubstr("hidden_size = 64")));
    EXPECT_EQ(error_of(kPretrained + "hidden_size = 32\n"), "no error");
    EXPECT_THAT(error_of(kPretrained + "[[ablation]]\nset = { \"model.num_hidden_layers\" = 2 }\n"),
                testing::HasSubstr("model.num_hidden_layers is that of the weights"));
    EXPECT_THAT(
        error_of(kPretrained + "[search]\n[search.space]\n\"model.hidden_size\" = { choice = [32, 64] }\n"),
        testing::HasSubstr("model.hidden_size is that of the weights"));
    EXPECT_THAT(error_of(kPretrained + "[[ablation]]\nset = { \"model.pretrained\" = \"other\" }\n"),
                testing::HasSubstr("or the folder that [model] names"));
    EXPECT_THAT(error_of(kDataSection + "[[ablation]]\nset = { \"model.pretrained\" = \"model\" }\n"),
                testing::HasSubstr("[model] names no folder"));
    EXPECT_THAT(error_of(kDataSection + "[model]\npretrained = \"nowhere\"\n"),
                testing::HasSubstr("is no folder"));
    write_small_model(folder, "model", "4");
    EXPECT_THAT(error_of(kPretrained), testing::HasSubstr("has 5 tokens"));
    std::filesystem::remove(folder.path() / "model" / "vocab.txt");
    EXPECT_THAT(error_of(kPretrained), testing::HasSubstr("holds no vocabulary"));
    write_small_model(folder, "model", "0");
    EXPECT_THAT(error_of(kPretrained), testing::HasSubstr("config.json': vocab_size is 0"));
}

TEST(Overrides, ReplaceWhatTheFileSays) {
    const StudyFolder folder;
    const auto study = folder.load(kDataSection + "[train]\nepochs = 3\n[[ablation]]\nadd = \"explicit\"\n",
                                   {"train.epochs=7", "study.name=other words", "study.seeds=[5]",
                                    "data.features=['energy']", "data.text.form = \"rounded\""});
    EXPECT_EQ(study.base.train.epochs, 7);
    EXPECT_EQ(study.name, "other words");
    EXPECT_THAT(study.base.data.features, ElementsAre("energy"));
    EXPECT_EQ(study.base.data.text.form, TextForm::rounded);
    EXPECT_THAT(seeds_of(last_stage(study)[0]), ElementsAre(SeedConfig{5, 5}));
}

TEST(Overrides, PathsCountFromTheCurrentFolder) {
    const StudyFolder folder;
    const auto relative = std::filesystem::relative(folder.path() / "tracks.csv").string();
    const auto study =
        folder.load("[data]\nlabel = \"genre\"\nfeatures = [\"energy\"]\n", {"data.path=" + relative});
    EXPECT_TRUE(std::filesystem::equivalent(study.paths.data, folder.path() / "tracks.csv"));
}

TEST(Overrides, StandInTheTextThatIsKept) {
    const StudyFolder folder;
    const std::string file =
        "# a remark\n" + kDataSection +
        "[search]\ntrials = 2\n[search.space]\n\"train.epochs\" = { choice = [1, 2] }\n"
        "[[ablation]]\nset = { model.head_width = 16 }\n[[ablation]]\nadd = \"explicit\"\n";
    EXPECT_EQ(folder.load(file).toml, file);
    const auto study = folder.load(file, {"train.epochs=7", "study.name=\"a \\\"b\\\"\""});
    const auto again = folder.load(study.toml);
    EXPECT_EQ(again.name, "a \"b\"");
    EXPECT_EQ(again.base, study.base);
    for (std::size_t stage = 0; stage < study.stages.size(); ++stage) {
        const auto before = study.expand(study.stages[stage], study.base);
        const auto after = again.expand(again.stages[stage], again.base);
        EXPECT_EQ(names_of(before), names_of(after));
        for (std::size_t i = 0; i < before.size(); ++i) {
            EXPECT_EQ(before[i].config, after[i].config);
        }
    }
}

TEST(Ablation, NamesAndChangesReadWell) {
    const StudyFolder folder;
    const auto variants = last_stage(folder.load(kDataSection + R"(
[[ablation]]
leave_one_out = "data.features"
[[ablation]]
leave_one_out = ["energy", "tempo"]
name = "{} again"
[[ablation]]
leave_out = ["energy", "valence"]
[[ablation]]
add = ["duration_ms", "explicit"]
[[ablation]]
add_each = ["duration_ms", "explicit"]
[[ablation]]
set = { model.head_width = 16 }
[[ablation]]
sweep = { "model.head_width" = [8, "none"], "model.head_activation" = ["tanh", "sigmoid"] }
[[ablation]]
name = "all at once"
leave_out = "tempo"
add = "explicit"
set = { "train.learning_rate" = 5e-4, "data.text.form" = "standardized" }
seeds = [8]
ranks = 4
)"));
    EXPECT_THAT(names_of(variants),
                ElementsAre("baseline", "without energy", "without tempo", "without valence",
                            "without energy again", "without tempo again", "without energy and valence",
                            "with duration and explicit", "with duration", "with explicit", "head width 16",
                            "head width 8, Tanh", "head width 8, Sigmoid", "no hidden layer, Tanh",
                            "no hidden layer, Sigmoid", "all at once"));
    EXPECT_EQ(variants[7].change, "data.features with duration_ms and explicit");
    EXPECT_EQ(variants[11].change, "model.head_width = 8, model.head_activation = tanh");
    EXPECT_THAT(variants[2].config.data.features, ElementsAre("energy", "valence"));
    EXPECT_THAT(variants[7].config.data.features,
                ElementsAre("energy", "tempo", "valence", "duration_ms", "explicit"));
    EXPECT_EQ(variants[12].config.model.head_width, 8);
    EXPECT_EQ(variants[12].config.model.head_activation, Activation::sigmoid);
    const auto& last = variants.back();
    EXPECT_THAT(last.config.data.features, ElementsAre("energy", "valence", "explicit"));
    EXPECT_EQ(last.config.train.learning_rate, 5e-4);
    EXPECT_EQ(last.config.data.text.form, TextForm::standardized);
    EXPECT_THAT(seeds_of(last), ElementsAre(SeedConfig{8, 8}));
    EXPECT_EQ(last.resources.ranks, 4);
    EXPECT_EQ(std::count_if(variants.begin(), variants.end(), [](const Variant& v) { return v.is_baseline; }),
              1);
}

TEST(Ablation, StartsFromTheBaselineItIsGiven) {
    const StudyFolder folder;
    const auto study = folder.load(kDataSection +
                                   "[[ablation]]\nleave_one_out = \"data.features\"\n[[ablation]]\n"
                                   "set = { \"model.head_width\" = 16 }\n");
    JobConfig baseline = study.base;
    baseline.train.epochs = 9;
    baseline.data.features = {"energy", "tempo"};
    const auto variants = study.expand(study.stages.back(), baseline);
    EXPECT_THAT(names_of(variants),
                ElementsAre("baseline", "without energy", "without tempo", "head width 16"));
    for (const auto& variant : variants) {
        EXPECT_EQ(variant.config.train.epochs, 9);
    }
    baseline.data.features = {"energy"};
    EXPECT_THROW(study.expand(study.stages.back(), baseline), StudyError);
}

TEST(Ablation, WarnsOfEqualVariants) {
    const StudyFolder folder;
    const auto study = folder.load(kDataSection + "[[ablation]]\nset = { \"train.epochs\" = 3 }\n");
    ASSERT_EQ(study.warnings.size(), 1U);
    EXPECT_TRUE(study.warnings[0].is_warning);
    EXPECT_THAT(study.warnings[0].message,
                AllOf(HasSubstr("'epochs 3'"), HasSubstr("'baseline'"), HasSubstr("same")));
    EXPECT_EQ(study.warnings[0].line, 5);
}

TEST(Ablation, FieldsWithoutEffectDoNotMakeANewJob) {
    const StudyFolder folder;
    const auto variants = last_stage(folder.load(kDataSection + R"([[ablation]]
set = { "model.head_width" = "none" }
[[ablation]]
set = { "model.head_width" = "none", "model.head_activation" = "tanh" }
[[ablation]]
set = { "data.text.decimals" = 4 }
)"));
    EXPECT_EQ(job_identity(variants[1].config), job_identity(variants[2].config));
    EXPECT_EQ(job_identity(variants[0].config), job_identity(variants[3].config));
}

TEST(BestVariant, IsTheFirstOfTheHighest) {
    EXPECT_EQ(best_variant({0.2, std::nullopt, 0.5, 0.5, 0.1}), 2U);
    EXPECT_EQ(best_variant({std::nan(""), 0.1}), 1U);
    EXPECT_EQ(best_variant({std::nullopt}), std::nullopt);
    EXPECT_EQ(best_variant({}), std::nullopt);
}

std::size_t longest_line(const std::string& text) {
    std::size_t longest = 0;
    std::size_t length = 0;
    for (const char c : text) {
        length = c == '\n' ? 0 : length + ((static_cast<unsigned char>(c) & 0xC0) != 0x80 ? 1 : 0);
        longest = std::max(longest, length);
    }
    return longest;
}

TEST(Plan, FitsATerminal) {
    const StudyFolder folder;
    const auto study = folder.load(kDataSection + R"(
[study]
name = "größter anzunehmender überlanger Name, der nicht in die Zeile eines Terminals von achtzig Zeichen passt"
seeds = 12
[search]
trials = 60
seeds = [1]
[search.space]
train.learning_rate = { log_uniform = [1e-4, 1e-2] }
train.epochs = { integer = [1, 100] }
[[ablation]]
leave_one_out = "data.features"
[[ablation]]
name = "an exceedingly long name of a variant that nobody could fit into a table of eighty columns, ä ö ü"
set = { "model.head_width" = 16, "model.head_activation" = "tanh", "train.weight_decay" = 0.05, "train.epochs" = 9 }
)");
    const std::string plan = render_plan(study);
    EXPECT_LE(longest_line(plan), 80U) << plan;
    EXPECT_THAT(plan, HasSubstr("tracks.csv, 40 rows, 2 classes, 3 features"));
    EXPECT_THAT(plan, HasSubstr("stage search: 60 variants, 60 jobs"));
    EXPECT_THAT(plan, HasSubstr("stage ablation: 5 variants, 60 jobs; starts from the best of search"));
    EXPECT_THAT(plan, HasSubstr("120 jobs in all"));
    EXPECT_THAT(plan, HasSubstr("without tempo"));
}

TEST(Plan, CountsEqualJobsOnce) {
    const StudyFolder folder;
    const auto study =
        folder.load(kDataSection + "[study]\nseeds = 2\n[[ablation]]\nset = { \"train.epochs\" = 3 }\n");
    EXPECT_THAT(render_plan(study), HasSubstr("4 jobs in all, 2 of them different"));
}

}  // namespace
}  // namespace orchestrate::testing
