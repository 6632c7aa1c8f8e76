// The whole life of a small study in a job store, with whatever the disk does to it; and what was acknowledged of it.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "coordinator/store/job_store.h"
#include "tests/coordinator/store/simulated_files.h"

namespace orchestrate::test {

// Thrown when the power went off. No std::exception: nobody may take it for an error of a file and go on.
struct PowerOff {};

// A result that the tables take.
inline AttemptEnded success_of(const AttemptId& attempt) {
    AttemptResult result;
    result.classes = {"funk", "punk"};
    result.metrics = {{MetricPart::validation, "macro_f1", 0.25},
                      {MetricPart::test, "accuracy", 0.5},
                      {MetricPart::test, "macro_f1", 0.25}};
    result.test_classes = {{"funk", 0.1, 0.2, 0.3, 4}, {"punk", 0.5, 0.6, 0.7, 8}};
    result.test_confusion = {{0, 1, 3}};
    result.test_predictions = {{2, 5}, {0, 1}, {1, 1}, {0.75F, 0.5F}};
    return {attempt, Cause::succeeded, "", result};
}

inline Variant variant_of(const std::string& name, std::int64_t head_width,
                          const std::vector<std::uint64_t>& seeds) {
    Variant variant;
    variant.name = name;
    variant.change = name;
    variant.config.model.head_width = head_width;
    for (const std::uint64_t seed : seeds) {
        variant.runs.push_back({{seed, seed}, 0, 0, static_cast<int>(variant.runs.size())});
    }
    return variant;
}

class SmallLife {
  public:
    static constexpr const char* kDatabase = "/simulated/results.db";

    SmallLife(SimulatedFiles& files, bool network_file_system, bool sync = true)
        : files_(files), options_{true, SimulatedFiles::name(), network_file_system, sync} {}

    // From wherever the database is to the end of the study: three jobs, the second attempt of one lost, epochs,
    // checkpoints. What is acknowledged is noted in `facts`. Throws PowerOff.
    void live() {
        JobStore store = open();
        const auto study = must([&] { return store.begin_study(study_); });
        facts.insert("SELECT count(*) FROM studies WHERE name = 's'");
        const auto jobs = must([&] {
            return store.sync_stage(study, 0, stage_, {variant_of("a", 8, {1, 2}), variant_of("b", 9, {1})},
                                    {});
        });
        facts.insert("SELECT count(*) = 3 FROM jobs");
        for (const auto& open : must([&] { return store.open_attempts(); })) {
            must([&] { return store.end_attempt({open.id, Cause::node_lost, "restart", {}}); });
        }
        WorkerRecord worker{0, "here-1", "host", 1, 1, "cpu", "/logs/here-1.log"};
        worker.row = store.add_worker(worker);
        commit(store);
        facts.insert("SELECT count(*) FROM workers WHERE id = " + std::to_string(worker.row));
        for (const JobId job : jobs) {
            bool done = store.jobs().at(job).state == JobState::succeeded;
            while (!done) {
                const auto begun = must([&] { return store.begin_attempt(job, worker, "/logs"); });
                commit(store);
                done = attempt(store, begun.id);
            }
        }
        must([&] {
            store.set_study_state(study, StudyState::finished);
            return true;
        });
        facts.insert("SELECT count(*) FROM studies WHERE state = 'finished' OR state = 'running'");
    }

    // Queries that must not give 0.
    std::set<std::string> facts;
    // Messages of errors that the store gave.
    std::vector<std::string> messages;

    // Those facts that do not hold in the database as it is; "integrity" if it is damaged.
    std::vector<std::string> broken_facts() const {
        SQLite::Database database(kDatabase, SQLite::OPEN_READWRITE, 0, SimulatedFiles::name());
        std::vector<std::string> broken;
        if (database.execAndGet("PRAGMA integrity_check").getString() != "ok") {
            broken.emplace_back("integrity");
        }
        for (const auto& fact : facts) {
            if (database.execAndGet(fact).getInt() == 0) {
                broken.push_back(fact);
            }
        }
        return broken;
    }

  private:
    static constexpr int kMaxTries = 10;

    // One attempt to its end: whether its job is done.
    bool attempt(JobStore& store, const AttemptId& id) {
        const std::string of_job = " WHERE job_id = " + to_string(id.job);
        const std::string number = std::to_string(id.number);
        facts.insert("SELECT count(*) FROM attempts" + of_job + " AND number = " + number);
        EpochMetrics epoch;
        epoch.epoch = 1;
        must([&] { return store.add_epoch(id, epoch); });
        commit(store);
        facts.insert("SELECT count(*) FROM epochs" + of_job + " AND attempt >= " + number);
        const bool lost = id.job == JobId(2) && id.number == 1;
        if (lost) {
            must([&] { return store.add_checkpoint(id, {id.number, 7, "seven", "", 1}); });
            must([&] { return store.end_attempt({id, Cause::node_lost, "gone", {}}); });
        } else {
            must([&] { return store.end_attempt(success_of(id)); });
        }
        commit(store);
        if (!lost) {
            facts.insert(
                "SELECT count(*) FROM results r JOIN jobs j ON j.id = r.job_id WHERE r.job_id = " +
                to_string(id.job) + " AND r.attempt = " + number +
                " AND j.state = 'succeeded' AND (SELECT count(*) FROM predictions p WHERE p.job_id = j.id) "
                "= 2");
        }
        return !lost;
    }

    JobStore open() {
        for (int tries = 1;; ++tries) {
            try {
                return JobStore(std::filesystem::path(kDatabase), options_);
            } catch (const std::exception& error) {
                if (files_.power_is_off()) {
                    throw PowerOff{};
                }
                if (tries == kMaxTries) {
                    throw;
                }
                messages.emplace_back(error.what());
                files_.make_room();
            }
        }
    }

    void commit(JobStore& store) {
        must([&] {
            store.commit();
            return true;
        });
    }

    // Again and again until the store can be used; a full disk has room after the third time.
    template <class Call>
    auto must(Call call) -> decltype(call()) {
        for (int tries = 1;; ++tries) {
            try {
                return call();
            } catch (const StoreUnavailable& error) {
                if (files_.power_is_off()) {
                    throw PowerOff{};
                }
                if (tries == kMaxTries) {
                    throw;
                }
                messages.emplace_back(error.what());
            }
            if (tries % 3 == 0) {
                files_.make_room();
            }
        }
    }

    SimulatedFiles& files_;
    StoreOptions options_;
    Study study_ = [] {
        Study study;
        study.name = "s";
        study.file = "/s.toml";
        return study;
    }();
    Stage stage_ = [] {
        Stage stage;
        stage.name = "ablation";
        return stage;
    }();
};

}  // namespace orchestrate::test
