#include "coordinator/model_retention.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "common/temporary_folder.h"
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
        filled_.insert(
            "part_metrics (job_id, part, loss, accuracy, macro_precision, macro_recall, macro_f1, "
            "weighted_precision, weighted_recall, weighted_f1, f1_of_macro_averages, rows) VALUES (?, "
            "'validation', 1, 0, 0, 0, ?, 0, 0, 0, 0, 1)",
            job, macro_f1);
        filled_.insert("models VALUES (?, ?, ?, 100, '')", job, (folder_ / sha256).string(), sha256);
        fs::create_directories(folder_ / sha256);
        std::ofstream(folder_ / sha256 / "model.safetensors") << std::string(100, 'x');
        return job;
    }

    void execute(const std::string& sql) { filled_.database().exec(sql); }

    std::vector<std::int64_t> kept() {
        std::vector<std::int64_t> jobs;
        for (const auto& model : judge_models(filled_.database())) {
            if (model.kept) {
                jobs.push_back(model.job);
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

TEST_F(ModelRetentionTest, RemovesFoldersThatNoKeptModelShares) {
    const auto stage = filled_.add_stage(add_study("a", "best", 0), 0, "ablation");
    add_job(stage, 0, 0.1, "a", true);
    add_job(stage, 1, 0.5, "a");  // the same bits
    add_job(stage, 2, 0.5, "c");
    fs::create_directories(folder_ / "old");
    std::ofstream(folder_ / "old" / "file") << "abc";
    fs::create_directories(folder_ / "young");
    fs::last_write_time(folder_ / "old", fs::file_time_type::clock::now() - std::chrono::hours(25));
    const auto unnamed = unnamed_folders(filled_.database(), folder_, std::chrono::hours(24));
    ASSERT_EQ(unnamed.size(), 1U);
    EXPECT_EQ(unnamed[0].bytes, 3);
    remove_models(filled_.database(), judge_models(filled_.database()), unnamed);
    EXPECT_THAT(folders(), UnorderedElementsAre("a", "young"));
    EXPECT_EQ(judge_models(filled_.database()).size(), 1U);
}

}  // namespace
}  // namespace orchestrate
