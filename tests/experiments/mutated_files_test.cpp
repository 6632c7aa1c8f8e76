#include <sstream>

#include <gmock/gmock.h>

#include "common/base/counter_random.h"
#include "experiments/plan.h"
#include "study_files.h"

namespace orchestrate::testing {
namespace {

const std::string kRichStudy = kDataSection + R"(classes = ["funk", "punk"]
text = { form = "rounded", decimals = 3 }
[data.split]
train = 0.5
validation = 0.25
test = 0.25
group_by = ["track_id", { column = "genre", first_of = ";" }]
[study]
name = "größe"
seeds = { initialization = [4, 2], data_order = 2 }
[variables]
rate = 5e-4
[model]
head_width = "none"
[train]
learning_rate = "${rate}"
[search]
trials = 3
[search.space]
train.epochs = { integer = [2, 6] }
"train.learning_rate" = { log_uniform = [1e-4, 1e-2] }
train.weight_decay = { uniform = [0.0, 0.3], step = 0.1, when = { "train.epochs" = [3, 4] } }
[[ablation]]
leave_one_out = "data.features"
[[ablation]]
leave_subsets_out = { size = 2, count = 2, seed = 3 }
name = "{} too"
[[ablation]]
cross = [{ leave_groups_out = { mood = ["valence"] } }, { sweep = { train.epochs = [5, 6] } }]
[[ablation]]
variants = { x = { keep_only = "tempo", set = { "data.text.decimals" = 1 } } }
[[ablation]]
add = "explicit"
[[ablation]]
seeds = 2
sweep = { "model.head_width" = [8, "none"], model.head_activation = ["tanh"] }
name = "{} x"
[cluster]
kind = "slurm"
)";

class Random {
  public:
    explicit Random(std::uint64_t stream) : stream_(stream) {}
    std::size_t below(std::size_t count) { return counter_random(7, stream_, counter_++) % count; }

  private:
    std::uint64_t stream_;
    std::uint64_t counter_ = 0;
};

// One to three small changes: bytes, lines and pieces dropped, doubled, swapped or replaced.
std::string mutated(std::string text, Random& random) {
    static const std::vector<std::string> kPieces = {
        "[",          "]]",  "\"",       "=",   "{}", "[]", "-1",   "1e999", "nan", "true",
        "\n[",        "'''", "\\u0000",  "#",   ".",  ",",  "\xff", "\0",    "[[",  "99999999999999999999",
        "2020-01-01", "inf", "[[[[[[[[", "data"};
    for (std::size_t change = 0; change <= random.below(3); ++change) {
        const std::size_t at = random.below(text.size());
        const std::size_t length = std::min(random.below(30), text.size() - at);
        switch (random.below(8)) {
            case 0:
                text.erase(at, length);
                break;
            case 1:
                text.insert(random.below(text.size()), text.substr(at, length));
                break;
            case 2:
                text[at] = static_cast<char>(random.below(256));
                break;
            case 3:
                text.insert(at, kPieces[random.below(kPieces.size())]);
                break;
            case 4:
            case 5:
            case 6:  // another digit: often still a study
                if (const std::size_t digit = text.find_first_of("0123456789", at);
                    digit != std::string::npos) {
                    text[digit] = static_cast<char>('0' + random.below(10));
                }
                break;
            default:
                text.replace(at, length, kPieces[random.below(kPieces.size())]);
                break;
        }
        if (text.empty()) {
            text = "x";
        }
    }
    return text;
}

// Names, identities and pairs of all jobs, stage by stage.
std::vector<std::string> jobs_of(const Study& study) {
    std::vector<std::string> jobs;
    for (const auto& stage : study.stages) {
        for (const auto& variant : study.expand(stage, study.base)) {
            for (const auto& run : variant.runs) {
                jobs.push_back(stage.name + "/" + variant.name + "/" + std::to_string(run.pair) + "/" +
                               job_identity(job_of(variant, run)));
            }
        }
    }
    return jobs;
}

// Whatever the file, it is a study or a list of errors: never another exception, never a crash.
TEST(MutatedFiles, AreStudiesOrHaveMistakes) {
    const StudyFolder folder;
    int studies = 0;
    int refused = 0;
    for (std::uint64_t i = 0; i < 800; ++i) {
        Random random(i);
        const std::string toml = mutated(kRichStudy, random);
        SCOPED_TRACE(toml);
        try {
            const auto study = folder.load(toml);
            ++studies;
            EXPECT_NO_THROW(render_plan(study));
            // Printed back in canonical form, it is the same study.
            const auto again = load_study(folder.write("again.toml", study.canonical_toml), {"study.name=x"});
            EXPECT_EQ(jobs_of(again), jobs_of(study)) << study.canonical_toml;
        } catch (const StudyError& error) {
            ++refused;
            ASSERT_FALSE(error.diagnostics().empty());
            for (const auto& diagnostic : error.diagnostics()) {
                EXPECT_FALSE(render(diagnostic).empty());
                EXPECT_FALSE(diagnostic.message.empty());
            }
        }
    }
    EXPECT_GT(studies, 50);
    EXPECT_GT(refused, 200);
}

TEST(MutatedFiles, OverridesToo) {
    const StudyFolder folder;
    for (std::uint64_t i = 0; i < 300; ++i) {
        Random random(i + 1'000'000);
        const std::string text = mutated("search.space={ train.epochs = { choice = [1, 2] } }", random);
        SCOPED_TRACE(text);
        try {
            folder.load(kDataSection, {text});
        } catch (const StudyError& error) {
            EXPECT_FALSE(std::string(error.what()).empty());
        }
    }
}

}  // namespace
}  // namespace orchestrate::testing
