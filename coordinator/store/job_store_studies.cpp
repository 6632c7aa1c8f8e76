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

StudyId JobStore::begin_study(const Study& study, OldFailures old_failures) {
    commit();
    std::vector<JobId> cancelled;
    const StudyId row = file_.transaction([&](StoreDatabase& database) {
        execute(
            database,
            "INSERT INTO studies (name, file, toml, state, save_models, best_models, created_at) "
            "VALUES (?, ?, ?, 'running', ?, ?, ?) "
            "ON CONFLICT (name) DO UPDATE SET file = excluded.file, toml = excluded.toml, state = 'running', "
            "save_models = excluded.save_models, best_models = excluded.best_models, finished_at = NULL, "
            "paused = paused AND ?",
            study.name, study.file.string(), study.toml, to_string(study.save_models), study.best_models,
            utc_now_text(), old_failures == OldFailures::keep ? 1 : 0);
        const StudyId found(number_of(database, "SELECT id FROM studies WHERE name = ?", study.name));
        if (!study.stages.empty()) {
            cancelled = cancel_unnamed_jobs(database, hide_stages_beside(database, found, study.stages));
        }
        return found;
    });
    were_cancelled(cancelled);
    return row;
}

void JobStore::set_study_state(StudyId study, StudyState state) {
    commit();
    file_.transaction([&](StoreDatabase& database) {
        execute(database,
                "UPDATE studies SET state = ?1, finished_at = CASE WHEN ?1 IN ('finished', 'failed', "
                "'cancelled') THEN ?2 END WHERE id = ?3",
                to_string(state), utc_now_text(), study);
    });
}

std::vector<JobId> JobStore::sync_stage(StudyId study, int position, const Stage& stage,
                                        const std::vector<Variant>& variants, const JobPaths& paths,
                                        OldFailures old_failures, const std::set<JobId>& failed_meanwhile) {
    StageWriter writer(study, position, stage, variants, paths, {old_failures, &failed_meanwhile});
    std::vector<JobId> jobs;
    while (!writer.is_done()) {
        const auto slice = write_slice(writer, std::numeric_limits<std::size_t>::max());
        jobs.insert(jobs.end(), slice.begin(), slice.end());
    }
    return jobs;
}

std::vector<JobId> JobStore::write_slice(StageWriter& writer, std::size_t max_jobs) {
    commit();
    auto written =
        file_.transaction([&](StoreDatabase& database) { return writer.write(database, max_jobs); });
    were_cancelled(writer.cancelled());
    std::vector<JobId> first_met = writer.committed(written);
    for (auto& [id, job] : written) {
        jobs_.put(id, std::move(job));
    }
    return first_met;
}

void JobStore::were_cancelled(const std::vector<JobId>& jobs) {
    for (const JobId job : jobs) {
        if (jobs_.find(job) != nullptr) {
            jobs_.apply(job, JobEvent::cancelled);
        }
    }
}

std::vector<StoredStudy> JobStore::studies() {
    commit();
    return file_.read([](StoreDatabase& database) {
        SQLite::Statement query(database,
                                "SELECT id, name, file, toml, state, paused FROM studies ORDER BY id");
        std::vector<StoredStudy> studies;
        while (query.executeStep()) {
            studies.push_back({id_in<StudyId>(query, 0), query.getColumn(1).getString(),
                               query.getColumn(2).getString(), query.getColumn(3).getString(),
                               enum_from_name<StudyState>(query.getColumn(4).getString()).value(),
                               query.getColumn(5).getInt() != 0});
        }
        return studies;
    });
}

std::vector<std::optional<double>> JobStore::mean_metric(StudyId study, const std::string& stage,
                                                         const MetricKey& metric) {
    commit();
    return file_.read(
        [&](StoreDatabase& database) { return orchestrate::mean_metric(database, study, stage, metric); });
}

std::vector<std::optional<MeasuredDifference>> JobStore::differences(StudyId study, const std::string& stage,
                                                                     const MetricKey& metric) {
    commit();
    return file_.read(
        [&](StoreDatabase& database) { return orchestrate::differences(database, study, stage, metric); });
}

std::vector<std::vector<JobId>> JobStore::jobs_of_variants(StudyId study, const std::string& stage) {
    commit();
    return file_.read([&](StoreDatabase& database) {
        BoundStatement query(database,
                             "SELECT v.id, j.job_id FROM stages s JOIN variants v ON v.stage_id = s.id "
                             "JOIN variant_jobs j ON j.variant_id = v.id "
                             "WHERE s.study_id = ? AND s.name = ? AND v.hidden = 0 AND v.is_ensemble = 0 "
                             "ORDER BY v.position, j.seed_index",
                             study, stage);
        std::vector<std::vector<JobId>> jobs;
        std::int64_t variant = -1;
        while (query->executeStep()) {
            if (query->getColumn(0).getInt64() != variant) {
                variant = query->getColumn(0).getInt64();
                jobs.emplace_back();
            }
            jobs.back().push_back(id_in<JobId>(*query, 1));
        }
        return jobs;
    });
}

std::vector<std::string> JobStore::sync_ensembles(StudyId study, const std::string& stage,
                                                  const std::vector<KnownEnsemble>& ensembles) {
    commit();
    return file_.transaction(
        [&](StoreDatabase& database) { return write_ensembles(database, study, stage, ensembles); });
}

void JobStore::set_study_paused(StudyId study, bool paused) {
    change([study, paused](StoreDatabase& database) {
        execute(database, "UPDATE studies SET paused = ? WHERE id = ?", paused ? 1 : 0, study);
    });
}

}  // namespace orchestrate
