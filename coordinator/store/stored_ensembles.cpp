#include "coordinator/store/stored_ensembles.h"

#include <fmt/format.h>

#include "common/base/counted.h"
#include "common/base/error.h"
#include "common/base/sha256.h"
#include "common/base/time_text.h"
#include "coordinator/database/sql.h"
#include "coordinator/store/ensemble_predictions.h"
#include "coordinator/store/stored_results.h"

namespace orchestrate {
namespace {

std::optional<JobId> job_with(StoreDatabase& database, const std::string& identity) {
    SQLite::Statement query(database, "SELECT id FROM jobs WHERE identity = ? AND state = 'succeeded'");
    query.bind(1, identity);
    return query.executeStep() ? std::optional(id_in<JobId>(query, 0)) : std::nullopt;
}

MemberPredictions predictions_of(StoreDatabase& database, JobId job) {
    MemberPredictions member;
    SQLite::Statement classes(database, "SELECT classes FROM results WHERE job_id = ?");
    classes.bind(1, job.value());
    if (classes.executeStep()) {
        Json::parse(classes.getColumn(0).getString()).get_to(member.classes);
    }
    SQLite::Statement rows(database,
                           "SELECT line, true_class, predicted_class, probability FROM predictions "
                           "WHERE job_id = ? ORDER BY line");
    rows.bind(1, job.value());
    while (rows.executeStep()) {
        member.line.push_back(rows.getColumn(0).getInt64());
        member.true_class.push_back(rows.getColumn(1).getInt());
        member.predicted_class.push_back(rows.getColumn(2).getInt());
        member.probability.push_back(static_cast<float>(rows.getColumn(3).getDouble()));
    }
    SQLite::Statement packed(database, "SELECT rows, classes, data FROM probabilities WHERE job_id = ?");
    packed.bind(1, job.value());
    if (packed.executeStep()) {
        const auto data = packed.getColumn(2);
        const auto* const begin = static_cast<const std::uint8_t*>(data.getBlob());
        PackedProbabilities stored{packed.getColumn(0).getInt64(), packed.getColumn(1).getInt64(), {}};
        stored.data.values.assign(begin, begin + data.getBytes());
        try {
            member.class_probability = unpack_probabilities(stored);
        } catch (const std::exception& error) {
            throw UserError("job " + to_string(job) + ": " + error.what());
        }
    }
    return member;
}

// The job of a run, computed now unless it is there. Throws UserError if it cannot be computed.
JobId find_or_compute(StoreDatabase& database, EnsembleRule rule, const EnsembleRun& run) {
    const std::string config = canonical_json(rule, run);
    const std::string identity = sha256_hex(config);
    if (const auto known = job_with(database, identity)) {
        return *known;
    }
    std::vector<JobId> jobs;
    std::vector<MemberPredictions> members;
    for (const auto& member : run.members) {
        const auto job = job_with(database, member);
        if (!job) {
            throw UserError("a member has no result");
        }
        jobs.push_back(*job);
        members.push_back(predictions_of(database, *job));
    }
    const AttemptResult result = combine_predictions(rule, members);
    const auto now = utc_now_text();
    execute(database,
            "INSERT INTO jobs (identity, config, paths, ranks, resources, state, created_at, finished_at) "
            "VALUES (?, ?, '{}', 1, '{}', 'succeeded', ?, ?)",
            identity, config, now, now);
    const JobId job(database.getLastInsertRowid());
    for (const JobId member : jobs) {
        execute(database, "INSERT INTO ensemble_members VALUES (?, ?)", job, member);
    }
    execute(database,
            "INSERT INTO results SELECT ?1, 0, 0, (SELECT sum(parameters) FROM results JOIN ensemble_members "
            "ON member_id = results.job_id WHERE ensemble_members.job_id = ?1), 0, 0, 0, "
            "(SELECT CASE WHEN count(DISTINCT device_class) = 1 THEN min(device_class) ELSE 'mixed' END "
            "FROM results JOIN ensemble_members ON member_id = results.job_id "
            "WHERE ensemble_members.job_id = ?1), 1, ?2, data_sha256, data_report, classes, validation_rows, "
            "test_rows "
            "FROM results WHERE job_id = ?3",
            job, result.collapsed ? 1 : 0, jobs.front());
    store_measurements(database, job, result);
    return job;
}

}  // namespace

std::vector<std::string> write_ensembles(StoreDatabase& database, StudyId study, const std::string& stage,
                                         const std::vector<KnownEnsemble>& ensembles) {
    std::vector<std::string> complaints;
    const std::int64_t stage_id =
        number_of(database, "SELECT id FROM stages WHERE study_id = ? AND name = ?", study, stage);
    execute(database, "UPDATE variants SET hidden = 1 WHERE stage_id = ? AND is_ensemble = 1", stage_id);
    std::int64_t position =
        number_of(database, "SELECT coalesce(max(position), -1) FROM variants WHERE stage_id = ?", stage_id);
    for (const auto& [ensemble, runs, why_no_run] : ensembles) {
        const Json config = {{"ensemble", ensemble.change}, {"runs", runs.size()}};
        execute(database,
                "INSERT INTO variants (stage_id, position, name, change, is_baseline, config, hidden, "
                "is_ensemble) VALUES (?, ?, ?, ?, 0, ?, 0, 1) ON CONFLICT (stage_id, name) DO UPDATE SET "
                "position = excluded.position, change = excluded.change, is_baseline = 0, "
                "config = excluded.config, hidden = 0, is_ensemble = 1",
                stage_id, ++position, ensemble.name, ensemble.change, config.dump());
        const std::int64_t variant = number_of(
            database, "SELECT id FROM variants WHERE stage_id = ? AND name = ?", stage_id, ensemble.name);
        execute(database, "DELETE FROM variant_jobs WHERE variant_id = ?", variant);
        std::size_t missing = 0;
        std::string why =
            why_no_run.empty() ? "no seed, fold and split is common to its members" : why_no_run;
        for (const auto& run : runs) {
            try {
                execute(database,
                        "INSERT INTO variant_jobs (variant_id, job_id, seed_index, initialization_seed, "
                        "data_order_seed) VALUES (?, ?, ?, ?, ?)",
                        variant, find_or_compute(database, ensemble.combine, run), run.run.pair,
                        static_cast<std::int64_t>(run.run.seed.initialization),
                        static_cast<std::int64_t>(run.run.seed.data_order));
            } catch (const UserError& error) {
                ++missing;
                why = error.what();
            }
        }
        if (missing > 0 || runs.empty()) {
            execute(database, "UPDATE variants SET config = json_set(config, '$.missing', ?) WHERE id = ?",
                    why, variant);
            complaints.push_back(
                runs.empty() ? fmt::format("ensemble '{}' cannot be computed: {}", ensemble.name, why)
                             : fmt::format("ensemble '{}': {} of {} cannot be computed: {}", ensemble.name,
                                           missing, counted(std::ssize(runs), "result"), why));
        }
    }
    return complaints;
}

}  // namespace orchestrate
