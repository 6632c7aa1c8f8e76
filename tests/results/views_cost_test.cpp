// What the views and the comparison cost, in SQLite's instructions: in proportion to the rows that they read.
#include <map>

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "filled_database.h"
#include "results/stage_rows.h"
#include "results/tables.h"

namespace orchestrate {
namespace {

// Two studies of one stage each: trainings with results, and commands with metrics.
class Filled {
  public:
    Filled(int variants, int seeds, int epochs = 2) {
        const auto trained = filled_.add_stage(filled_.add_study("trained"), 0, "a");
        const auto commands = filled_.add_stage(filled_.add_study("commands"), 0, "a");
        filled_.declare(commands, {{"v", MetricGoal::max}});
        for (int i = 0; i < variants; ++i) {
            const auto training = filled_.add_variant(trained, i, "v" + std::to_string(i), i == 0);
            const auto command = filled_.add_variant(commands, i, "v" + std::to_string(i), i == 0);
            for (int seed = 0; seed < seeds; ++seed) {
                filled_.add_succeeded(training, seed, {0.1, 0.2, 0.3, 0.4});
                add_command(command, seed, epochs);
            }
        }
    }

    SQLite::Database& database() { return filled_.database(); }

    // Instructions, to ten, that `work` runs.
    template <class Work>
    std::int64_t instructions(Work work) {
        std::int64_t tens = 0;
        sqlite3_progress_handler(
            database().getHandle(), 10,
            [](void* count) {
                ++*static_cast<std::int64_t*>(count);
                return 0;
            },
            &tens);
        work();
        sqlite3_progress_handler(database().getHandle(), 0, nullptr, nullptr);
        return 10 * tens;
    }

    std::int64_t instructions_of(const std::string& sql) {
        return instructions([&] {
            SQLite::Statement query(database(), sql);
            while (query.executeStep()) {
            }
        });
    }

  private:
    void add_command(std::int64_t variant, int seed, int epochs) {
        const auto job = filled_.add_job(variant, seed);
        filled_.set_state(job, "succeeded");
        filled_.add_attempt(job, 1, "succeeded");
        filled_.insert("job_metrics VALUES (?, 'test', 'v', 0.5)", job);
        for (int epoch = 1; epoch <= epochs; ++epoch) {
            filled_.insert("epochs (job_id, epoch, attempt) VALUES (?, ?, 1)", job, epoch);
            filled_.insert("epoch_metrics VALUES (?, ?, 'validation', 'v', 0.5)", job, epoch);
        }
    }

    FilledDatabase filled_;
};

std::vector<std::string> views(SQLite::Database& database) {
    std::vector<std::string> names;
    SQLite::Statement query(database, "SELECT name FROM sqlite_schema WHERE type = 'view'");
    while (query.executeStep()) {
        names.push_back(query.getColumn(0).getString());
    }
    return names;
}

constexpr double kInProportion = 2.3;  // at most, for twice the rows

TEST(ViewsCost, GrowsInProportionToVariants) {
    Filled small(30, 2);
    Filled large(60, 2);
    for (const auto& view : views(small.database())) {
        const std::string sql = "SELECT * FROM " + view;
        EXPECT_LE(large.instructions_of(sql), kInProportion * small.instructions_of(sql)) << view;
    }
}

TEST(ViewsCost, GrowsInProportionToSeedsAndEpochs) {
    Filled small(8, 10, 10);
    Filled large(8, 20, 10);
    Filled long_jobs(8, 10, 20);
    for (const auto& view : views(small.database())) {
        const std::string sql = "SELECT * FROM " + view;
        EXPECT_LE(large.instructions_of(sql), kInProportion * small.instructions_of(sql)) << view;
        EXPECT_LE(long_jobs.instructions_of(sql), kInProportion * small.instructions_of(sql)) << view;
    }
}

// Rows of one variant, job or study are found by keys, not by looking at all jobs of the database.
TEST(ViewsCost, OfOneJobDoesNotGrowWithTheDatabase) {
    Filled small(20, 2);
    Filled large(80, 2);
    for (const char* view : {"seed_result", "learning_curve", "metric_result", "metric_curve",
                             "confusion_named", "prediction_named", "job_overview"}) {
        const std::string sql = "SELECT * FROM " + std::string(view) + " WHERE job = 7";
        EXPECT_LE(large.instructions_of(sql), 1.2 * small.instructions_of(sql) + 100) << view;
    }
}

TEST(ComparisonCost, IsLittleMoreThanReadingItsRows) {
    Filled filled(100, 5);
    const std::map<std::string, std::string> scans = {
        {"trained",
         "SELECT variants.name, seeds.seed_index, jobs.state, results.collapsed, test.value FROM variants "
         "JOIN variant_jobs AS seeds ON seeds.variant_id = variants.id JOIN jobs ON jobs.id = seeds.job_id "
         "JOIN results ON results.job_id = jobs.id JOIN job_metrics AS test ON test.job_id = jobs.id AND "
         "test.part = 'test' AND test.name IN ('accuracy', "
         "'macro_precision', 'macro_recall', 'macro_f1') WHERE variants.stage_id = 1"},
        {"commands",
         "SELECT variants.name, seeds.seed_index, jobs.state, test.value FROM variants "
         "JOIN variant_jobs AS seeds ON seeds.variant_id = variants.id JOIN jobs ON jobs.id = seeds.job_id "
         "JOIN job_metrics AS test ON test.job_id = jobs.id WHERE variants.stage_id = 2"}};
    for (const auto& entry : scans) {
        const auto& [study, scan] = entry;
        const auto table =
            filled.instructions([&] { render_comparison(filled.database(), entry.first, std::nullopt, 80); });
        // By the clock it is less: what is beside the scan finds its rows in the cache.
        EXPECT_LE(table, 4 * filled.instructions_of(scan)) << study;
    }
}

TEST(ComparisonCost, DoesNotGrowWithOtherStudies) {
    Filled filled(40, 2);
    const auto cost = [&] {
        return filled.instructions(
            [&] { render_comparison(filled.database(), "commands", std::nullopt, 80); });
    };
    // What a stage is selected by (coordinator/store/stage_metrics.cpp).
    const auto cost_of_selection = [&] {
        return filled.instructions_of(
            "SELECT variant_id, avg(value) FROM metric_result WHERE stage_id = 1 AND part = 'test' AND "
            "metric = 'macro_f1' AND collapsed = 0 GROUP BY variant_id");
    };
    const auto alone = cost();
    const auto selection_alone = cost_of_selection();
    filled.database().exec(
        "INSERT INTO studies (id, name, file, toml, state, created_at) VALUES (99, 'other', '', '', "
        "'finished', '');"
        "INSERT INTO stages (id, study_id, position, name, kind, select_by) "
        "VALUES (99, 99, 0, 'a', 'ablation', 'macro_f1');"
        "INSERT INTO variants (stage_id, position, name, change, is_baseline, config) "
        "SELECT 99, position, 'other ' || id, '', 0, '{}' FROM variants;"
        "INSERT INTO variant_jobs SELECT other.id, job_id, other.id * 1000 + job_id, 1, 1 FROM variants AS "
        "other, "
        "(SELECT DISTINCT job_id FROM variant_jobs WHERE variant_id < 20) WHERE other.stage_id = 99");
    EXPECT_LE(cost(), 1.3 * static_cast<double>(alone));
    EXPECT_LE(cost_of_selection(), 1.3 * static_cast<double>(selection_alone));
}

// The same numbers by the views and by what the table is made from.
TEST(StageRowsTest, AgreeWithTheViews) {
    FilledDatabase filled;
    const auto stage = filled.add_stage(filled.add_study("s"), 0, "a");
    const auto second = filled.add_variant(stage, 3, "second", true);
    const auto baseline = filled.add_variant(stage, 1, "baseline", true);
    const auto changed = filled.add_variant(stage, 2, "changed");
    const auto ensemble = filled.add_variant(stage, 4, "ensemble");
    filled.add_variant(stage, 5, "without jobs");
    filled.database().exec("UPDATE variants SET is_ensemble = 1 WHERE name = 'ensemble'");
    for (int seed = 0; seed < 4; ++seed) {
        filled.add_succeeded(baseline, seed, {0.5 + 0.01 * seed, 0.4, 0.3, 0.61 + 0.003 * seed * seed});
        filled.add_succeeded(second, seed, {0.1, 0.2, 0.3, 0.4});
        if (seed != 1) {
            filled.add_succeeded(changed, seed + 1, {0.6, 0.5, 0.4, 0.7 - 0.002 * seed * seed});
        }
        filled.add_succeeded(ensemble, seed, {0.7, 0.6, 0.5, 0.8 + 0.001 * seed});
    }
    filled.add_job(changed, 9);
    filled.use_job(ensemble, -1, filled.add_succeeded(second, 7, {0.9, 0.9, 0.9, 0.9}));
    const StageRows rows = read_stage_rows(filled.database(), stage);
    const auto differences = differences_to_baseline(rows, 3);
    SQLite::Statement view(
        filled.database(),
        "SELECT variant, jobs, succeeded, measured, accuracy, accuracy_sd, macro_f1, macro_f1_sd, "
        "pairs, difference, difference_sd FROM variant_summary");
    std::size_t place = 0;
    const auto expect_equal = [](const SQLite::Column& expected, const std::optional<double>& found) {
        EXPECT_EQ(expected.isNull(), !found.has_value());
        EXPECT_NEAR(expected.getDouble(), found.value_or(0), 1e-14);
    };
    while (view.executeStep()) {
        ASSERT_LT(place, rows.variants.size());
        const VariantRow& variant = rows.variants[place];
        SCOPED_TRACE(variant.name);
        EXPECT_EQ(view.getColumn(0).getString(), variant.name);
        EXPECT_EQ(view.getColumn(1).getInt64(), std::ssize(variant.seeds));
        EXPECT_EQ(view.getColumn(2).getInt64(), variant.succeeded());
        const Summary accuracy = summary_of(variant, 0);
        const Summary macro_f1 = summary_of(variant, 3);
        EXPECT_EQ(view.getColumn(3).getInt64(), macro_f1.count);
        expect_equal(view.getColumn(4), accuracy.spread.mean);
        expect_equal(view.getColumn(5), accuracy.spread.deviation);
        expect_equal(view.getColumn(6), macro_f1.spread.mean);
        expect_equal(view.getColumn(7), macro_f1.spread.deviation);
        EXPECT_EQ(view.getColumn(8).getInt64(), differences[place].count);
        expect_equal(view.getColumn(9), differences[place].spread.mean);
        expect_equal(view.getColumn(10), differences[place].spread.deviation);
        ++place;
    }
    EXPECT_EQ(place, rows.variants.size());
}

}  // namespace
}  // namespace orchestrate
