#include "coordinator/stored_stages.h"

#include <algorithm>
#include <unordered_set>

#include "common/sha256.h"
#include "common/time_text.h"

namespace orchestrate {
namespace {

// How far a known job is trained: as far as this stage wants, or further if others want more (0: to the end).
std::int64_t merged_pause(StoreDatabase& database, std::int64_t job, std::int64_t before,
                          std::int64_t wanted) {
    if (before > 0 && wanted > 0) {
        return std::max(before, wanted);
    }
    // The stage's own variants are hidden while it is written.
    const bool others_want_it =
        number_of(database,
                  "SELECT EXISTS (SELECT 1 FROM variant_jobs JOIN variants ON variants.id = variant_id "
                  "WHERE job_id = ? AND hidden = 0)",
                  job) != 0;
    return before == 0 && others_want_it ? 0 : wanted;
}

// What stands in a job's row beside its configuration, as texts that many jobs share.
struct JobSurroundings {
    std::string paths;
    JobResources resources;
    std::string resources_text;
};

// The job of that configuration, which waits again unless it runs, has succeeded, or is kept; without its title.
StoredJob find_or_add_job(StoreDatabase& database, const JobConfig& config,
                          const JobSurroundings& surroundings, const FailedBefore& failed_before) {
    const std::string config_text = canonical_json(config);
    const std::string identity = sha256_hex(config_text);
    StoredJob job;
    job.resources = surroundings.resources;
    BoundStatement known(
        database, "SELECT id, state, failures, resources, paths, by_person FROM jobs WHERE identity = ?",
        identity);
    if (!known->executeStep()) {
        execute(database,
                "INSERT INTO jobs (identity, config, paths, ranks, resources, state, created_at) VALUES (?, "
                "?, ?, ?, ?, 'waiting', ?)",
                identity, config_text, surroundings.paths, surroundings.resources.ranks,
                surroundings.resources_text, utc_now_text());
        job.id = database.getLastInsertRowid();
        return job;
    }
    job.id = known->getColumn(0).getInt64();
    const auto state = enum_from_name<JobState>(known->getColumn(1).getString()).value();
    const bool cancelled_by_person = known->getColumn(5).getInt() != 0;
    const bool stays =
        failed_before.old_failures == OldFailures::keep || failed_before.failed_meanwhile.contains(job.id);
    if (stays && is_over_without_result(state) && (state != JobState::cancelled || cancelled_by_person)) {
        job.state = state;
        job.failures = known->getColumn(2).getInt();
        return job;
    }
    const std::string resources = known->getColumn(3).getString();
    JobResources before;
    Json::parse(resources).get_to(before);
    std::string resources_text = surroundings.resources_text;
    if (const std::int64_t pause =
            merged_pause(database, job.id, before.pause_after_epoch, job.resources.pause_after_epoch);
        pause != job.resources.pause_after_epoch) {
        job.resources.pause_after_epoch = pause;
        resources_text = Json(job.resources).dump();
    }
    const bool goes_further =
        state == JobState::paused &&
        (job.resources.pause_after_epoch == 0 || job.resources.pause_after_epoch > before.pause_after_epoch);
    const auto transition =
        find_transition(state, goes_further ? JobEvent::promoted : JobEvent::asked_for).value();
    job.state = transition.to;
    job.failures = transition.clears_failures ? 0 : known->getColumn(2).getInt();
    const bool as_asked_for = state == transition.to && resources == resources_text &&
                              known->getColumn(4).getString() == surroundings.paths;
    if (transition.to == JobState::succeeded) {
        job.resources = before;
    } else if (!as_asked_for) {
        // Tried where its data lies now.
        execute(database,
                "UPDATE jobs SET paths = ?, ranks = ?, resources = ?, finished_at = NULL, by_person = 0, "
                "state = ?, failures = ? WHERE id = ?",
                surroundings.paths, surroundings.resources.ranks, resources_text, to_string(transition.to),
                job.failures, job.id);
    }
    return job;
}

}  // namespace

void hide_stages_beside(StoreDatabase& database, std::int64_t study, const std::vector<Stage>& stages) {
    BoundStatement query(database, "SELECT id, name FROM stages WHERE study_id = ?", study);
    std::vector<std::int64_t> gone;
    while (query->executeStep()) {
        const std::string name = query->getColumn(1).getString();
        if (std::none_of(stages.begin(), stages.end(),
                         [&](const Stage& stage) { return stage.name == name; })) {
            gone.push_back(query->getColumn(0).getInt64());
        }
    }
    for (const std::int64_t stage : gone) {
        execute(database, "UPDATE variants SET hidden = 1 WHERE stage_id = ?", stage);
    }
}

void cancel_unnamed_jobs(StoreDatabase& database) {
    const auto transition = find_transition(JobState::waiting, JobEvent::cancelled).value();
    execute(database,
            "UPDATE jobs SET state = ?, finished_at = ? WHERE state = 'waiting' AND NOT EXISTS "
            "(SELECT 1 FROM variant_jobs JOIN variants ON variants.id = variant_jobs.variant_id "
            "WHERE variant_jobs.job_id = jobs.id AND variants.hidden = 0)",
            to_string(transition.to), utc_now_text());
}

std::vector<StoredJob> write_stage(StoreDatabase& database, std::int64_t study, int position,
                                   const Stage& stage, const std::vector<Variant>& variants,
                                   const JobPaths& paths, const FailedBefore& failed_before) {
    execute(database,
            "INSERT INTO stages (study_id, position, name, kind, select_by) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (study_id, name) DO UPDATE SET position = excluded.position, kind = excluded.kind, "
            "select_by = excluded.select_by",
            study, position, stage.name, to_string(stage.kind),
            stage.select_name.empty() ? to_string(stage.select_by) : stage.select_name);
    const std::int64_t stage_id =
        number_of(database, "SELECT id FROM stages WHERE study_id = ? AND name = ?", study, stage.name);

    execute(database, "DELETE FROM stage_metrics WHERE stage_id = ?", stage_id);
    for (std::size_t i = 0; i < stage.metrics.size(); ++i) {
        execute(database, "INSERT INTO stage_metrics VALUES (?, ?, ?, ?)", stage_id,
                static_cast<std::int64_t>(i), stage.metrics[i].name, to_string(stage.metrics[i].goal));
    }
    execute(database, "UPDATE variants SET hidden = 1 WHERE stage_id = ?", stage_id);
    std::vector<StoredJob> jobs;
    std::unordered_set<std::int64_t> seen;
    const std::string paths_text = Json(paths).dump();
    int row = 0;
    for (const auto& variant : variants) {
        execute(database,
                "INSERT INTO variants (stage_id, position, name, change, is_baseline, config, hidden) "
                "VALUES (?, ?, ?, ?, ?, ?, 0) ON CONFLICT (stage_id, name) DO UPDATE SET position = "
                "excluded.position, "
                "change = excluded.change, is_baseline = excluded.is_baseline, config = excluded.config, "
                "hidden = 0, is_ensemble = 0",
                stage_id, row++, variant.name, variant.change, variant.is_baseline ? 1 : 0,
                canonical_json(variant.config));
        const std::int64_t variant_id = number_of(
            database, "SELECT id FROM variants WHERE stage_id = ? AND name = ?", stage_id, variant.name);
        execute(database, "DELETE FROM variant_jobs WHERE variant_id = ?", variant_id);
        const JobSurroundings surroundings{paths_text, variant.resources, Json(variant.resources).dump()};
        for (const auto& run : variant.runs) {
            StoredJob job = find_or_add_job(database, job_of(variant, run), surroundings, failed_before);
            execute(database,
                    "INSERT INTO variant_jobs (variant_id, job_id, seed_index, initialization_seed, "
                    "data_order_seed) "
                    "VALUES (?, ?, ?, ?, ?)",
                    variant_id, job.id, run.pair, static_cast<std::int64_t>(run.seed.initialization),
                    static_cast<std::int64_t>(run.seed.data_order));
            if (seen.insert(job.id).second) {
                job.title = variant.name + ", " + describe(variant, run);
                jobs.push_back(std::move(job));
            }
        }
    }
    cancel_unnamed_jobs(database);
    return jobs;
}

}  // namespace orchestrate
