// What the job store has of studies: their rows, stages and ensembles, and what is chosen by their metrics.
#include <algorithm>
#include <iterator>
#include <limits>

#include "common/base/time_text.h"
#include "coordinator/store/job_store.h"
#include "coordinator/store/stage_metrics.h"
#include "coordinator/store/stored_ensembles.h"
#include "coordinator/store/stored_stages.h"

namespace orchestrate {

std::int64_t JobStore::begin_study(const Study& study, OldFailures old_failures) {
    commit();
    std::vector<std::int64_t> cancelled;
    const std::int64_t row = file_.transaction([&](StoreDatabase& database) {
        execute(
            database,
            "INSERT INTO studies (name, file, toml, state, save_models, best_models, created_at) "
            "VALUES (?, ?, ?, 'running', ?, ?, ?) "
            "ON CONFLICT (name) DO UPDATE SET file = excluded.file, toml = excluded.toml, state = 'running', "
            "save_models = excluded.save_models, best_models = excluded.best_models, finished_at = NULL, "
            "paused = paused AND ?",
            study.name, study.file.string(), study.toml, to_string(study.save_models), study.best_models,
            utc_now_text(), old_failures == OldFailures::keep ? 1 : 0);
        const std::int64_t found = number_of(database, "SELECT id FROM studies WHERE name = ?", study.name);
        if (!study.stages.empty()) {
            cancelled = cancel_unnamed_jobs(database, hide_stages_beside(database, found, study.stages));
        }
        return found;
    });
    for (const std::int64_t job : cancelled) {
        records_.erase(job);
    }
    return row;
}

void JobStore::set_study_state(std::int64_t study, StudyState state) {
    commit();
    file_.transaction([&](StoreDatabase& database) {
        execute(database,
                "UPDATE studies SET state = ?1, finished_at = CASE WHEN ?1 IN ('finished', 'failed', "
                "'cancelled') THEN ?2 END WHERE id = ?3",
                to_string(state), utc_now_text(), study);
    });
}

std::vector<StoredJob> JobStore::sync_stage(std::int64_t study, int position, const Stage& stage,
                                            const std::vector<Variant>& variants, const JobPaths& paths,
                                            OldFailures old_failures,
                                            const std::set<std::int64_t>& failed_meanwhile) {
    StageWriter writer(study, position, stage, variants, paths, {old_failures, &failed_meanwhile});
    std::vector<StoredJob> jobs;
    while (!writer.is_done()) {
        auto slice = write_slice(writer, std::numeric_limits<std::size_t>::max());
        std::move(slice.begin(), slice.end(), std::back_inserter(jobs));
    }
    return jobs;
}

std::vector<StoredJob> JobStore::write_slice(StageWriter& writer, std::size_t max_jobs) {
    commit();
    auto jobs = file_.transaction([&](StoreDatabase& database) { return writer.write(database, max_jobs); });
    // They may wait again, be trained further, or be cancelled.
    for (const auto& job : jobs) {
        records_.erase(job.id);
    }
    for (const std::int64_t job : writer.cancelled()) {
        records_.erase(job);
    }
    return writer.committed(std::move(jobs));
}

std::vector<StoredStudy> JobStore::studies() {
    commit();
    return file_.read([](StoreDatabase& database) {
        SQLite::Statement query(database,
                                "SELECT id, name, file, toml, state, paused FROM studies ORDER BY id");
        std::vector<StoredStudy> studies;
        while (query.executeStep()) {
            studies.push_back({query.getColumn(0).getInt64(), query.getColumn(1).getString(),
                               query.getColumn(2).getString(), query.getColumn(3).getString(),
                               enum_from_name<StudyState>(query.getColumn(4).getString()).value(),
                               query.getColumn(5).getInt() != 0});
        }
        return studies;
    });
}

std::vector<std::optional<double>> JobStore::mean_metric(std::int64_t study, const std::string& stage,
                                                         SelectionMetric metric, SelectionPart part,
                                                         const std::string& name) {
    commit();
    return file_.read([&](StoreDatabase& database) {
        return orchestrate::mean_metric(database, study, stage, metric, part, name);
    });
}

std::vector<std::optional<MeasuredDifference>> JobStore::differences(std::int64_t study,
                                                                     const std::string& stage,
                                                                     SelectionMetric metric,
                                                                     SelectionPart part,
                                                                     const std::string& name) {
    commit();
    return file_.read([&](StoreDatabase& database) {
        return orchestrate::differences(database, study, stage, metric, part, name);
    });
}

std::vector<std::vector<std::int64_t>> JobStore::jobs_of_variants(std::int64_t study,
                                                                  const std::string& stage) {
    commit();
    return file_.read([&](StoreDatabase& database) {
        BoundStatement query(database,
                             "SELECT v.id, j.job_id FROM stages s JOIN variants v ON v.stage_id = s.id "
                             "JOIN variant_jobs j ON j.variant_id = v.id "
                             "WHERE s.study_id = ? AND s.name = ? AND v.hidden = 0 AND v.is_ensemble = 0 "
                             "ORDER BY v.position, j.seed_index",
                             study, stage);
        std::vector<std::vector<std::int64_t>> jobs;
        std::int64_t variant = -1;
        while (query->executeStep()) {
            if (query->getColumn(0).getInt64() != variant) {
                variant = query->getColumn(0).getInt64();
                jobs.emplace_back();
            }
            jobs.back().push_back(query->getColumn(1).getInt64());
        }
        return jobs;
    });
}

std::vector<std::string> JobStore::sync_ensembles(std::int64_t study, const std::string& stage,
                                                  const std::vector<KnownEnsemble>& ensembles) {
    commit();
    return file_.transaction(
        [&](StoreDatabase& database) { return write_ensembles(database, study, stage, ensembles); });
}

void JobStore::set_study_paused(std::int64_t study, bool paused) {
    change([study, paused](StoreDatabase& database) {
        execute(database, "UPDATE studies SET paused = ? WHERE id = ?", paused ? 1 : 0, study);
    });
}

}  // namespace orchestrate
