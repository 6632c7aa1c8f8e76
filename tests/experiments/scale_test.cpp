// Large studies: counted right, and refused where they are too large. tests/benchmarks/study_scale.cpp measures.
#include <unordered_set>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "experiments/plan.h"
#include "study_files.h"

namespace orchestrate::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

std::string numbers(int count, const std::string& unit) {
    std::string values;
    for (int i = 1; i <= count; ++i) {
        values += fmt::format("{}{}{}", i == 1 ? "" : ", ", i, unit);
    }
    return "[" + values + "]";
}

TEST(Scale, TwentyThousandJobsAreAllDifferent) {
    const StudyFolder folder;
    const auto study =
        folder.load(kDataSection + "[study]\nseeds = 4\n[[ablation]]\nsweep = { train.learning_rate = " +
                    numbers(100, "e-6") + ", train.weight_decay = " + numbers(50, "e-3") + " }\n");
    const auto variants = last_stage(study);
    ASSERT_THAT(variants, SizeIs(5001));
    std::unordered_set<std::string> identities;
    std::unordered_set<std::string> names;
    for (const auto& variant : variants) {
        names.insert(variant.name);
        for (const auto& run : variant.runs) {
            identities.insert(job_identity(job_of(variant, run)));
        }
    }
    EXPECT_THAT(names, SizeIs(5001));
    EXPECT_THAT(identities, SizeIs(4 * 5001));
    EXPECT_THAT(render_plan(study), HasSubstr("20004 jobs in all\n"));
}

struct TooLarge {
    std::string toml;
    std::string message;
};

TEST(Scale, WhatIsTooLargeIsNotTried) {
    const StudyFolder folder;
    for (const auto& [toml, message] : std::vector<TooLarge>{
             {"[study]\nseeds = 1000\n[data.split]\nfolds = 10\nrepeats = 1000\n",
              "1000 seeds x 10 folds x 1000 splits make 10000000 jobs of one variant"},
             {"[study]\nseeds = 10000\n[[ablation]]\nsweep = { train.learning_rate = " + numbers(200, "e-6") +
                  " }\n",
              "more than 1000000 jobs of one stage"},
             {"[[ablation]]\nsweep = { train.learning_rate = " + numbers(60'000, "e-9") +
                  " }\n[[ablation]]\nsweep = { train.weight_decay = " + numbers(60'000, "e-9") + " }\n",
              "more than 100000 variants of one stage"}}) {
        const auto diagnostics = folder.diagnostics(kDataSection + toml);
        ASSERT_THAT(diagnostics, SizeIs(1)) << toml.substr(0, 200);
        EXPECT_THAT(diagnostics[0].message, HasSubstr(message));
    }
}

TEST(Scale, ManyEqualVariantsAreSaidInFewLines) {
    const StudyFolder folder;
    const auto study =
        folder.load(kDataSection +
                    "[[ablation]]\nsweep = { model.attention_head_mask.seed = " + numbers(500, "") + " }\n");
    ASSERT_THAT(study.warnings, SizeIs(11));
    EXPECT_THAT(study.warnings[10].message, HasSubstr("490 more variants"));
}

}  // namespace
}  // namespace orchestrate::testing
