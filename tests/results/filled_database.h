// A results database filled through SQL, as the coordinator would leave it, for tests of what reads it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "common/metrics/training_metrics.h"
#include "results/schema.h"

namespace orchestrate {

// Test metrics of one job, as fractions.
struct TestMetrics {
    double accuracy = 0;
    double macro_precision = 0;
    double macro_recall = 0;
    double macro_f1 = 0;
};

class FilledDatabase {
  public:
    explicit FilledDatabase(const std::string& path = ":memory:")
        : database_(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE) {
        prepare_schema(database_);
    }

    SQLite::Database& database() { return database_; }

    template <class... Values>
    std::int64_t insert(const std::string& sql, const Values&... values) {
        SQLite::Statement statement(database_, "INSERT INTO " + sql);
        int index = 0;
        (statement.bind(++index, values), ...);
        statement.exec();
        return database_.getLastInsertRowid();
    }

    std::int64_t add_study(const std::string& name) {
        return insert(
            "studies (name, file, toml, state, created_at) VALUES (?, '/studies/a.toml', '', 'running', "
            "'2026-11-23T02:00:00.000Z')",
            name);
    }

    // Of trainings, until declare() says otherwise.
    std::int64_t add_stage(std::int64_t study, int position, const std::string& name) {
        const auto stage = insert(
            "stages (study_id, position, name, kind, select_by) VALUES (?, ?, ?, 'ablation', 'macro_f1')",
            study, position, name);
        declare(stage, training_metrics(), "macro_f1");
        return stage;
    }

    // What the stage's jobs report; `primary`: the first of these unless it is given.
    void declare(std::int64_t stage, const std::vector<MetricDeclaration>& metrics,
                 const std::string& primary = "") {
        database_.exec("DELETE FROM stage_metrics WHERE stage_id = " + std::to_string(stage));
        int position = 0;
        for (const auto& metric : metrics) {
            insert("stage_metrics VALUES (?, ?, ?, ?, ?, ?)", stage, position++, metric.name,
                   to_string(metric.goal), to_string(metric.unit), metric.in_table ? 1 : 0);
        }
        SQLite::Statement update(database_, "UPDATE stages SET primary_metric = ? WHERE id = ?");
        update.bind(1, primary.empty() ? metrics.front().name : primary);
        update.bind(2, stage);
        update.exec();
    }

    std::int64_t add_variant(std::int64_t stage, int position, const std::string& name,
                             bool is_baseline = false, bool hidden = false) {
        return insert(
            "variants (stage_id, position, name, change, is_baseline, config, hidden) VALUES (?, ?, ?, ?, ?, "
            "'{}', ?)",
            stage, position, name, is_baseline ? "" : "data.features " + name, is_baseline ? 1 : 0,
            hidden ? 1 : 0);
    }

    // A waiting job of one variant.
    std::int64_t add_job(std::int64_t variant, int seed_index) {
        ++jobs_;
        const std::int64_t job = insert(
            "jobs (identity, config, paths, ranks, resources, state, created_at) VALUES (?, '{}', '{}', 1, "
            "'{}', "
            "'waiting', "
            "'2026-11-23T02:00:00.000Z')",
            fmt::format("{:04x}{:060x}", 0xab00 + jobs_, jobs_));
        use_job(variant, seed_index, job);
        return job;
    }

    void use_job(std::int64_t variant, int seed_index, std::int64_t job) {
        insert("variant_jobs VALUES (?, ?, ?, ?, ?)", variant, job, seed_index, 101 + seed_index,
               201 + seed_index);
    }

    void set_state(std::int64_t job, const std::string& state) {
        SQLite::Statement update(database_, "UPDATE jobs SET state = ? WHERE id = ?");
        update.bind(1, state);
        update.bind(2, job);
        update.exec();
    }

    // An attempt that began at minute `number` past two and, unless `cause` is empty, ended 30.5 s later.
    void add_attempt(std::int64_t job, int number, const std::string& cause,
                     const std::string& message = "") {
        insert(
            "attempts (job_id, number, worker, host, device_class, ranks, started_at, ended_at, cause, "
            "message, "
            "log_file) VALUES (?1, ?2, 'worker-1', 'node-1', 'cpu avx2', 1, ?3, nullif(?4, ''), nullif(?5, "
            "''), "
            "?6, ?7)",
            job, number, fmt::format("2026-11-23T02:{:02}:00.000Z", number),
            cause.empty() ? "" : fmt::format("2026-11-23T02:{:02}:30.500Z", number), cause, message,
            fmt::format("/logs/job-{}-{}.log", job, number));
    }

    // A result with two classes, one epoch, four predictions.
    void succeed(std::int64_t job, const TestMetrics& test, const std::string& device_class = "cpu avx2",
                 bool collapsed = false, const std::string& data_report = R"({"leaks": []})") {
        set_state(job, "succeeded");
        const int attempt = database_.execAndGet(
            "SELECT coalesce(max(number), 0) + 1 FROM attempts WHERE job_id = " + std::to_string(job));
        add_attempt(job, attempt, "succeeded");
        insert(
            "results VALUES (?, ?, 2, 1000, 20.5, 25.0, 100, ?, 1, ?, 'abc', ?, '[\"funk\", \"punk \\u0026 "
            "ska\"]', 4, 4)",
            job, attempt, device_class, collapsed ? 1 : 0, data_report);
        insert("models VALUES (?, ?, 'abc', 4000, '2026-11-23T02:30:00.000Z')", job,
               "/lab/results.db.d/models/abc");
        for (const char* part : {"validation", "test"}) {
            const std::map<std::string, double> metrics = {{"loss", 0.7},
                                                           {"accuracy", test.accuracy},
                                                           {"macro_precision", test.macro_precision},
                                                           {"macro_recall", test.macro_recall},
                                                           {"macro_f1", test.macro_f1},
                                                           {"weighted_precision", 0.5},
                                                           {"weighted_recall", 0.5},
                                                           {"weighted_f1", 0.5},
                                                           {"f1_of_macro_averages", 0.5}};
            for (const auto& [name, value] : metrics) {
                insert("job_metrics VALUES (?, ?, ?, ?)", job, part, name, value);
            }
        }
        insert("class_metrics VALUES (?, 0, 'funk', 0.5, 0.5, ?, 2)", job, test.macro_f1 - 0.1);
        insert("class_metrics VALUES (?, 1, 'punk & ska', 0.5, 0.5, ?, 2)", job, test.macro_f1 + 0.1);
        insert("confusion VALUES (?, 0, 0, 1), (?, 0, 1, 1), (?, 1, 1, 2)", job, job, job);
        insert(
            "predictions VALUES (?, 5, 0, 0, 0.9), (?, 7, 0, 1, 0.6), (?, 8, 1, 1, 0.8), (?, 9, 1, 1, 0.7)",
            job, job, job, job);
        for (int epoch = 1; epoch <= 3; ++epoch) {
            insert("epochs VALUES (?, ?, ?, ?, 0.001, 6.5, 900.0)", job, epoch, attempt, 1.0 / epoch);
            for (const char* name : {"accuracy", "macro_precision", "macro_recall", "macro_f1"}) {
                insert("epoch_metrics VALUES (?, ?, 'validation', ?, 0.5)", job, epoch, name);
            }
            insert("epoch_metrics VALUES (?, ?, 'validation', 'loss', 0.8)", job, epoch);
        }
    }

    std::int64_t add_succeeded(std::int64_t variant, int seed_index, const TestMetrics& test) {
        const std::int64_t job = add_job(variant, seed_index);
        succeed(job, test);
        return job;
    }

    // One row of a query, columns joined by '|', as SQLite's shell prints it.
    std::vector<std::string> rows(const std::string& sql) {
        SQLite::Statement query(database_, sql);
        std::vector<std::string> lines;
        while (query.executeStep()) {
            std::string line;
            for (int i = 0; i < query.getColumnCount(); ++i) {
                line.append(i == 0 ? "" : "|").append(query.getColumn(i).getString());
            }
            lines.push_back(line);
        }
        return lines;
    }

  private:
    SQLite::Database database_;
    int jobs_ = 0;
};

// The study of the first issue: a baseline and six changes, two seeds each, all succeeded.
inline void add_punk_or_funk(FilledDatabase& filled) {
    const auto study = filled.add_study("punk-or-funk-small");
    const auto stage = filled.add_stage(study, 0, "ablation");
    const std::vector<std::string> names = {"baseline",      "without popularity", "without energy",
                                            "with duration", "head width 16",      "no hidden layer",
                                            "Tanh"};
    for (int i = 0; i < static_cast<int>(names.size()); ++i) {
        const auto variant = filled.add_variant(stage, i, names[static_cast<std::size_t>(i)], i == 0);
        for (int seed = 0; seed < 2; ++seed) {
            const double f1 = 0.51 - 0.02 * i + 0.01 * seed * (i + 1);
            filled.add_succeeded(variant, seed, {f1 + 0.01, f1 + 0.02, f1 + 0.005, f1});
        }
    }
}

}  // namespace orchestrate
