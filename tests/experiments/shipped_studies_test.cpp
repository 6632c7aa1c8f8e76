#include <cstdlib>
#include <map>
#include <sstream>

#include <gmock/gmock.h>

#include "experiments/load_study.h"
#include "experiments/plan.h"
#include "study_files.h"

namespace orchestrate::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::filesystem::path kStudies = std::filesystem::path(ORCHESTRATE_SOURCE_DIR) / "experiments";

// A file with the columns of the Spotify Tracks Dataset and a few rows of each genre the small study names.
std::filesystem::path write_tracks(const StudyFolder& folder) {
    std::string rows =
        "track_id,popularity,danceability,energy,loudness,speechiness,acousticness,instrumentalness,liveness,"
        "valence,"
        "tempo,duration_ms,explicit,track_genre\n";
    int id = 0;
    for (const char* genre : {"classical", "country", "edm", "funk", "hip-hop", "jazz", "metal", "pop",
                              "punk", "r-n-b", "reggae", "rock", "sleep"}) {
        for (int i = 0; i < 10; ++i) {
            const std::string digit = std::to_string(i);
            rows += "id" + std::to_string(++id);
            for (const char* begin :
                 {",1", ",0.2", ",0.3", ",-4", ",0.5", ",0.6", ",0.7", ",0.8", ",0.9", ",10", ",1"}) {
                rows += begin + digit;
            }
            rows += std::string(i % 2 ? ",True," : ",False,") + genre + "\n";
        }
    }
    return folder.write("spotify.csv", rows);
}

std::size_t jobs_of(const std::vector<Variant>& variants) {
    std::size_t jobs = 0;
    for (const auto& variant : variants) {
        jobs += variant.runs.size();
    }
    return jobs;
}

TEST(ShippedStudies, Quickstart) {
    const auto study = load_study(kStudies / "quickstart.toml", {});
    EXPECT_THAT(study.warnings, IsEmpty());
    const auto variants = last_stage(study);
    EXPECT_THAT(names_of(variants), ElementsAre("baseline", "without popularity", "without speechiness",
                                                "with duration", "no hidden layer", "Tanh"));
    EXPECT_EQ(jobs_of(variants), 12U);
    EXPECT_THAT(study.base.data.split.group_by, ElementsAre(GroupColumn{"track_id", ""}));
}

TEST(ShippedStudies, Anatomy) {
    const auto study = load_study(kStudies / "anatomy.toml", {});
    EXPECT_THAT(study.warnings, IsEmpty());
    EXPECT_THAT(
        names_of(last_stage(study)),
        ElementsAre("baseline", "first layer", "layer 1 alone", "frozen position embeddings",
                    "no position embeddings", "without heads 0.0-1 and 1.0", "50 % of heads masked at random",
                    "50 % of heads masked by lowest gradient", "50 % of neurons masked at random",
                    "50 % of neurons masked by lowest activation",
                    "50 % of neurons masked by lowest gradient", "50 % of classifier units masked at random",
                    "frozen embeddings", "lowest layer frozen", "all layers frozen", "pooling: mean",
                    "fusion: concatenation, fused layers 0, 1 and 2", "fusion: mean, fused layers 0, 1 and 2",
                    "fusion: weighted, fused layers 0, 1 and 2", "windows, mean of logits",
                    "windows, greatest logits"));
    EXPECT_EQ(jobs_of(last_stage(study)), 42U);
}

TEST(ShippedStudies, PunkOrFunkSmall) {
    const StudyFolder folder;
    const auto study =
        load_study(kStudies / "punk-or-funk-small.toml", {"data.path=" + write_tracks(folder).string()});
    EXPECT_THAT(study.warnings, IsEmpty());
    EXPECT_EQ(study.base.data.classes.size(), 12U);
    EXPECT_EQ(study.base.data.features.size(), 10U);
    const auto variants = last_stage(study);
    EXPECT_THAT(names_of(variants), ElementsAre("baseline", "without popularity", "without energy",
                                                "with duration", "head width 16", "no hidden layer", "Tanh"));
    EXPECT_EQ(jobs_of(variants), 14U);
}

TEST(ShippedStudies, PunkOrFunk) {
    const StudyFolder folder;
    const auto study =
        load_study(kStudies / "punk-or-funk.toml", {"data.path=" + write_tracks(folder).string()});
    EXPECT_THAT(study.warnings, IsEmpty());
    ASSERT_EQ(study.stages.size(), 2U);
    EXPECT_EQ(study.stages[1].baseline_stage, "search");
    EXPECT_EQ(study.base.model.head_activation, Activation::relu);
    EXPECT_EQ(study.base.model.hidden_size, 768);
    EXPECT_THAT(names_of(last_stage(study)),
                ElementsAre("baseline", "without popularity", "without danceability", "without energy",
                            "without loudness", "without speechiness", "without acousticness",
                            "without instrumentalness", "without liveness", "without valence",
                            "without tempo", "with explicit lyrics", "with track duration", "head width 64",
                            "head width 32", "head width 16", "no hidden layer", "Tanh", "Sigmoid"));
}

TEST(ShippedStudies, PunkOrFunkAtToySize) {
    const StudyFolder folder;
    const auto study = load_study(
        kStudies / "punk-or-funk.toml",
        {"data.path=" + write_tracks(folder).string(), "data.max_rows=100", "search.trials=2",
         "study.seeds=1", "search.space={ train.epochs = { choice = [1] } }", "model.hidden_size=32",
         "model.num_hidden_layers=1", "model.num_attention_heads=2", "model.intermediate_size=64"});
    const auto trials = study.expand(study.stages[0], study.base);
    ASSERT_EQ(trials.size(), 2U);
    EXPECT_EQ(trials[0].config.train.epochs, 1);
    EXPECT_EQ(jobs_of(study.expand(study.stages[1], trials[0].config)), 19U);
}

TEST(ShippedStudies, SayHowToGetTheData) {
    for (const char* name : {"punk-or-funk-small.toml", "punk-or-funk.toml"}) {
        try {
            load_study(kStudies / name, {});
            FAIL() << "expected StudyError";
        } catch (const StudyError& error) {
            ASSERT_EQ(error.diagnostics().size(), 1U) << error.what();
            EXPECT_THAT(error.what(), HasSubstr("kaggle.com/datasets/maharshipandya"));
            EXPECT_THAT(error.what(), HasSubstr("--set data.path="));
        }
    }
}

TEST(ShippedStudies, ReadTheRealData) {
    const char* given = std::getenv("ORCHESTRATE_DATA");
    const std::filesystem::path data =
        given ? given : std::filesystem::path(ORCHESTRATE_SOURCE_DIR).parent_path() / "shared" / "data";
    if (!std::filesystem::exists(data / "spotify-tracks.csv.gz")) {
        GTEST_SKIP() << "no " << data / "spotify-tracks.csv.gz"
                     << "; set ORCHESTRATE_DATA to the folder that has it";
    }
    const auto study = load_study(kStudies / "punk-or-funk-small.toml",
                                  {"data.path=" + (data / "spotify-tracks.csv.gz").string(),
                                   "tokenizer.vocabulary=" + (data / "roberta").string()});
    EXPECT_EQ(study.base.data.sha256, "b202fa49909b2d5cef71a04b1d21243cfeb36414535f2ca9272aa646721177bd");
    EXPECT_THAT(render_plan(study), HasSubstr("12000 rows, 12 classes"));
}

// Golden: job identities must not change unseen, or finished studies would be trained again. They change with
// numerics_version, a default of common/job/job_config.h, or this file's data; say so in the commit that changes
// them.
TEST(Identity, OfJobsIsFixed) {
    const StudyFolder folder;
    // The rows that the identities were computed with.
    std::string rows = "track_id,genre,energy,tempo,valence,duration_ms,explicit\n";
    for (int row = 0; row < 40; ++row) {
        rows += "id" + std::to_string(row / 2) + (row % 2 ? ",punk,0." : ",funk,0.") +
                std::to_string(10 + row) + "," + std::to_string(80 + row) + ",0.5," +
                std::to_string(180000 + row) + (row % 3 ? ",True\n" : ",False\n");
    }
    folder.write("tracks.csv", rows);
    const auto study = folder.load(kDataSection + R"([study]
seeds = [1, 2]
[cluster]
device = "cpu"
[[ablation]]
leave_out = "energy"
[[ablation]]
set = { "model.head_width" = "none", "train.learning_rate" = 0.0005 }
)");
    std::vector<std::string> identities;
    for (const auto& variant : last_stage(study)) {
        for (const auto& run : variant.runs) {
            identities.push_back(job_identity(job_of(variant, run)));
        }
    }
    EXPECT_THAT(identities, ElementsAre("02633cbf8fde401312a102b436a3efbf62885a20cfaedbc4cae7a3b9ee6157cc",
                                        "5406e56eacdcb8aac514c1b431b911d0d8494ab239d897b32fcfc0469b825097",
                                        "270fdf89244f51822ba26ba88d68e15b6fd1c7f5541551400970fdf7bfbed0d4",
                                        "9a84dc7d195aa87a3f3ee6999d800e2775be97ee97a418646f999c041c5a02f3",
                                        "f06362ae823b8962daf3b8a3a46e7f6991b69e0831202827f38e8c0d1a9f883f",
                                        "4d9cf3d9f96376af147c072e31a200ce9a28a69a40632d1ab2d9e8ef93618574"));
}

TEST(AnyCommand, ComparesWhatAPlainScriptIsGiven) {
    const auto study = load_study(kStudies / "any-command.toml", {});
    EXPECT_THAT(study.warnings, IsEmpty());
    ASSERT_EQ(study.stages.size(), 2U);
    const auto trials = study.expand(study.stages[0], study.base);
    EXPECT_EQ(trials.size(), 6U);
    const auto variants = study.expand(study.stages[1], trials[0].config);
    EXPECT_EQ(variants.size(), 15U);
    EXPECT_EQ(variants[1].name, "without popularity");
    EXPECT_EQ(variants.back().name, "sound alone");
}

TEST(Identity, IsIndifferentToOrderPathsAndExplicitDefaults) {
    const StudyFolder folder;
    const auto identity = [&](const std::string& toml) { return job_identity(folder.load(toml).base); };
    const std::string plain = identity(kDataSection);
    std::filesystem::copy_file(folder.path() / "tracks.csv", folder.path() / "moved.csv");
    EXPECT_EQ(
        plain,
        identity("[train]\nepochs = 3\n[study]\nname = \"x\"\nranks = 2\n[data]\nfeatures = [\"energy\", "
                 "\"tempo\", \"valence\"]\nlabel = \"genre\"\npath = \"moved.csv\"\n[cluster]\nslots = 3\n"));
    EXPECT_NE(plain, identity(kDataSection + "[train]\nepochs = 4\n"));
    EXPECT_NE(plain, identity(kDataSection + "classes = [\"funk\", \"punk\"]\nmax_rows = 30\n"));
    std::string other = "genre,energy,tempo,valence\n";
    for (int i = 0; i < 40; ++i) {
        other += std::string(i % 2 ? "punk," : "funk,") + std::to_string(i) + ",2,3\n";
    }
    folder.write("tracks.csv", other);
    EXPECT_NE(plain, identity(kDataSection));
}

// Every example of README.md is a study, or a part of one.
TEST(Reference, ItsExamplesAreValid) {
    std::ifstream readme(kStudies / "README.md");
    const StudyFolder folder;
    write_tracks(folder);
    std::string line;
    std::string example;
    bool inside = false;
    int examples = 0;
    while (std::getline(readme, line)) {
        if (line == "```toml") {
            inside = true;
            example.clear();
        } else if (line == "```" && inside) {
            inside = false;
            ++examples;
            if (example.find("[data]\n") == std::string::npos &&
                example.find("[command]\n") == std::string::npos) {
                example +=
                    "[data]\npath = \"sample-tracks.csv\"\nlabel = \"track_genre\"\n"
                    "features = [\"energy\", \"tempo\", \"valence\"]\n";
            }
            std::filesystem::copy_file(kStudies / "sample-tracks.csv", folder.path() / "sample-tracks.csv",
                                       std::filesystem::copy_options::overwrite_existing);
            write_small_model(folder, "all-MiniLM-L6-v2");
            folder.write("lab.toml", "[train]\nepochs = 4\n");
            const auto diagnostics = folder.diagnostics(example);
            EXPECT_THAT(diagnostics, IsEmpty()) << StudyError(diagnostics).what();
        } else if (inside) {
            example += line + "\n";
        }
    }
    EXPECT_GE(examples, 8);
}

}  // namespace
}  // namespace orchestrate::testing
