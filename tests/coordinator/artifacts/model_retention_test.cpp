#include "coordinator/artifacts/model_retention.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "common/base/temporary_folder.h"
#include "common/data/pretrained_config.h"
#include "tests/results/filled_database.h"

namespace orchestrate {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

// A stage of a baseline and variants with a validation macro F1 each, one seed, every model saved.
class ModelRetentionTest : public testing::Test {
  protected:
    std::int64_t add_study(const std::string& name, const std::string& save_models, int best = 0) {
        const std::int64_t study = filled_.add_study(name);
        execute("UPDATE studies SET save_models = '" + save_models +
                "', best_models = " + std::to_string(best) + " WHERE id = " + std::to_string(study));
        return study;
    }

    std::int64_t add_job(std::int64_t stage, int position, double macro_f1, const std::string& sha256,
                         bool is_baseline = false, const std::string& state = "succeeded",
                         bool collapsed = false) {
        const std::int64_t variant =
            filled_.add_variant(stage, position, "variant " + std::to_string(position), is_baseline);
        const std::int64_t job = filled_.add_job(variant, 0);
        const std::string id = std::to_string(job);
        execute("UPDATE jobs SET state = '" + state + "' WHERE id = " + id);
        execute(
            "INSERT INTO attempts (job_id, number, worker, host, device_class, ranks, started_at) VALUES (" +
            id + ", 1, 'w', 'h', 'cpu', 1, '')");
        filled_.insert(
            "results (job_id, attempt, selected_epoch, parameters, train_seconds, total_seconds, "
            "peak_memory_bytes, device_class, ranks, collapsed, data_sha256, classes, data_report) "
            "VALUES (?, 1, 1, 1, 1, 1, 1, 'cpu', 1, ?, '', '[]', '{}')",
            job, collapsed ? 1 : 0);
        filled_.insert("job_metrics VALUES (?, 'validation', 'macro_f1', ?)", job, macro_f1);
        filled_.insert("models VALUES (?, ?, ?, 100, '')", job, (folder_ / sha256).string(), sha256);
        return job;
    }

    // Writes a model below `directory` under its hash, which is returned.
    static std::string write_model(const fs::path& directory, const std::string& content) {
        const fs::path unnamed = directory / "unnamed";
        fs::create_directories(unnamed);
        std::ofstream(unnamed / "config.json") << "{}";
        std::ofstream(unnamed / "model.safetensors") << content;
        std::string sha256 = sha256_hex_of_pretrained(unnamed);
        fs::rename(unnamed, directory / sha256);
        return sha256;
    }
    std::string write_model(const std::string& content) { return write_model(folder_, content); }

    std::vector<std::string> remove_all_that_is_not_kept() {
        return remove_models(filled_.database(), folder_, judge_models(filled_.database()), {}).left;
    }

    void execute(const std::string& sql) { filled_.database().exec(sql); }

    std::vector<std::int64_t> kept() {
        std::vector<std::int64_t> jobs;
        for (const auto& model : judge_models(filled_.database())) {
            if (model.kept) {
                jobs.push_back(model.job.value());
            }
        }
        return jobs;
    }

    std::vector<std::string> folders() {
        std::vector<std::string> names;
        for (const auto& entry : fs::directory_iterator(folder_)) {
            names.push_back(entry.path().filename().string());
        }
        return names;
    }

    FilledDatabase filled_;
    TemporaryFolder temporary_;
    const fs::path folder_ = temporary_.path();
};

TEST_F(ModelRetentionTest, TheBaselineAndTheBestAreKept) {
    const auto stage = filled_.add_stage(add_study("a", "best", 2), 0, "ablation");
    const auto baseline = add_job(stage, 0, 0.1, "a", true);
    add_job(stage, 1, 0.5, "b");
    const auto best = add_job(stage, 2, 0.9, "c");
    const auto second = add_job(stage, 3, 0.8, "d");
    add_job(stage, 4, 0.95, "e", false, "succeeded", /*collapsed=*/true);
    EXPECT_THAT(kept(), ElementsAre(baseline, best, second));
    execute("UPDATE studies SET best_models = 0");
    EXPECT_THAT(kept(), ElementsAre(baseline));
}

TEST_F(ModelRetentionTest, AllAreKeptUntilTheStageIsOver) {
    const auto stage = filled_.add_stage(add_study("a", "best", 0), 0, "ablation");
    const auto baseline = add_job(stage, 0, 0.1, "a", true);
    const auto other = add_job(stage, 1, 0.5, "b");
    const auto running = add_job(stage, 2, 0.5, "c", false, "running");
    EXPECT_THAT(kept(), ElementsAre(baseline, other, running));
    execute("UPDATE jobs SET state = 'failed' WHERE id = " + std::to_string(running));
    EXPECT_THAT(kept(), ElementsAre(baseline));
}

TEST_F(ModelRetentionTest, AStudyThatKeepsAllKeepsWhatAnotherWouldNot) {
    const auto stage = filled_.add_stage(add_study("a", "best", 0), 0, "ablation");
    const auto baseline = add_job(stage, 0, 0.1, "a", true);
    const auto shared = add_job(stage, 1, 0.5, "b");
    add_job(stage, 2, 0.5, "c");
    const auto other = filled_.add_variant(filled_.add_stage(add_study("b", "all"), 0, "ablation"), 0, "x");
    filled_.insert("variant_jobs VALUES (?, ?, 0, 1, 1)", other, shared);
    EXPECT_THAT(kept(), ElementsAre(baseline, shared));
    execute("UPDATE studies SET save_models = 'none'");
    EXPECT_THAT(kept(), IsEmpty());
}

TEST_F(ModelRetentionTest, RemovesDirectoriesThatNoKeptModelShares) {
    const auto stage = filled_.add_stage(add_study("a", "best", 0), 0, "ablation");
    const std::string shared = write_model("same bits");
    add_job(stage, 0, 0.1, shared, true);
    add_job(stage, 1, 0.5, shared);
    add_job(stage, 2, 0.5, write_model("other bits"));
    EXPECT_THAT(remove_all_that_is_not_kept(), IsEmpty());
    EXPECT_THAT(folders(), ElementsAre(shared));
    EXPECT_EQ(judge_models(filled_.database()).size(), 1U);
}

TEST_F(ModelRetentionTest, RemovesWhatNoJobNamesIfItIsOldAndOurs) {
    const std::string model = write_model("bits");
    const std::string young = write_model("young");
    for (const char* name : {"writing-host-7.part", "receiving-job-1-attempt-1.part", "my notes"}) {
        fs::create_directories(folder_ / name);
    }
    fs::create_directories(folder_ / std::string(64, 'a'));  // the content is another one
    for (const auto& name : folders()) {
        if (name != young) {
            fs::last_write_time(folder_ / name, fs::file_time_type::clock::now() - std::chrono::hours(25));
        }
    }
    const auto unnamed = unnamed_folders(filled_.database(), folder_, std::chrono::hours(24));
    EXPECT_EQ(unnamed.size(), 4U);
    const Removal removal = remove_models(filled_.database(), folder_, {}, unnamed);
    EXPECT_THAT(removal.left, ElementsAre(testing::HasSubstr(std::string(64, 'a'))));
    EXPECT_EQ(removal.unnamed_folders, 3) << "what was left was not removed";
    EXPECT_EQ(removal.models, 0);
    EXPECT_THAT(folders(), UnorderedElementsAre(young, "my notes", std::string(64, 'a')));
}

TEST_F(ModelRetentionTest, APathInTheDatabaseIsNotFollowed) {
    const auto stage = filled_.add_stage(add_study("a", "none", 0), 0, "ablation");
    const std::string original = write_model(folder_ / "original", "bits");
    add_job(stage, 0, 0.1, original);
    execute("UPDATE models SET folder = '" + (folder_ / "original" / original).string() + "'");
    EXPECT_THAT(remove_all_that_is_not_kept(), IsEmpty());
    EXPECT_TRUE(fs::exists(folder_ / "original" / original));
    EXPECT_THAT(judge_models(filled_.database()), IsEmpty());
}

TEST_F(ModelRetentionTest, WhatIsNotThatModelIsLeftWithAWord) {
    const auto stage = filled_.add_stage(add_study("a", "none", 0), 0, "ablation");
    const std::string changed = write_model("bits");
    std::ofstream(folder_ / changed / "model.safetensors") << "tuned by hand";
    const std::string linked = write_model(folder_ / "original", "more bits");
    fs::create_directory_symlink(folder_ / "original" / linked, folder_ / linked);
    add_job(stage, 0, 0.1, changed);
    add_job(stage, 1, 0.1, linked);
    add_job(stage, 2, 0.1, "../original");
    add_job(stage, 3, 0.1, "");
    EXPECT_EQ(remove_all_that_is_not_kept().size(), 4U);
    EXPECT_THAT(folders(), UnorderedElementsAre(changed, linked, "original"));
    EXPECT_TRUE(fs::exists(folder_ / "original" / linked / "config.json"));
    EXPECT_EQ(judge_models(filled_.database()).size(), 4U);
}

}  // namespace
}  // namespace orchestrate
