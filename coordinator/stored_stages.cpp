#include "coordinator/stored_stages.h"

#include <algorithm>
#include <set>

#include "common/time_text.h"
#include "coordinator/sql.h"

namespace orchestrate {
namespace {

std::int64_t find_or_add_job(SQLite::Database& database, const JobConfig& config, const JobPaths& paths,
                             const JobResources& resources) {
    const std::string identity = job_identity(config);
    SQLite::Statement known(database, "SELECT id, state FROM jobs WHERE identity = ?");
    known.bind(1, identity);
    if (known.executeStep()) {
        const std::int64_t job = known.getColumn(0).getInt64();
        const auto state = enum_from_name<JobState>(known.getColumn(1).getString());
        known.reset();
        const auto transition = find_transition(*state, JobEvent::asked_for).value();
        if (transition.to != JobState::succeeded) {
            // Tried where its data lies now.
            execute(database,
                    "UPDATE jobs SET paths = ?, ranks = ?, resources = ?, finished_at = NULL, state = ?, "
                    "failures = CASE WHEN ? THEN 0 ELSE failures END WHERE id = ?",
                    Json(paths).dump(), resources.ranks, Json(resources).dump(), to_string(transition.to),
                    transition.clears_failures ? 1 : 0, job);
        }
        return job;
    }
    execute(
        database,
        "INSERT INTO jobs (identity, config, paths, ranks, resources, state, created_at) VALUES (?, ?, ?, ?, "
        "?, 'waiting', ?)",
        identity, canonical_json(config), Json(paths).dump(), resources.ranks, Json(resources).dump(),
        utc_time_text(std::chrono::system_clock::now()));
    return database.getLastInsertRowid();
}

}  // namespace

void hide_stages_beside(SQLite::Database& database, std::int64_t study, const std::vector<Stage>& stages) {
    SQLite::Statement query(database, "SELECT id, name FROM stages WHERE study_id = ?");
    query.bind(1, study);
    std::vector<std::int64_t> gone;
    while (query.executeStep()) {
        const std::string name = query.getColumn(1).getString();
        if (std::none_of(stages.begin(), stages.end(),
                         [&](const Stage& stage) { return stage.name == name; })) {
            gone.push_back(query.getColumn(0).getInt64());
        }
    }
    for (const std::int64_t stage : gone) {
        execute(database, "UPDATE variants SET hidden = 1 WHERE stage_id = ?", stage);
    }
}

void cancel_unnamed_jobs(SQLite::Database& database) {
    const auto transition = find_transition(JobState::waiting, JobEvent::cancelled).value();
    execute(database,
            "UPDATE jobs SET state = ?, finished_at = ? WHERE state = 'waiting' AND NOT EXISTS "
            "(SELECT 1 FROM variant_jobs JOIN variants ON variants.id = variant_jobs.variant_id "
            "WHERE variant_jobs.job_id = jobs.id AND variants.hidden = 0)",
            to_string(transition.to), utc_time_text(std::chrono::system_clock::now()));
}

std::vector<StoredJob> write_stage(SQLite::Database& database, std::int64_t study, int position,
                                   const Stage& stage, const std::vector<Variant>& variants,
                                   const JobPaths& paths) {
    execute(database,
            "INSERT INTO stages (study_id, position, name, kind, select_by) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (study_id, name) DO UPDATE SET position = excluded.position, kind = excluded.kind, "
            "select_by = excluded.select_by",
            study, position, stage.name, to_string(stage.kind), to_string(stage.select_by));
    const std::int64_t stage_id =
        number_of(database, "SELECT id FROM stages WHERE study_id = ? AND name = ?", study, stage.name);

    execute(database, "UPDATE variants SET hidden = 1 WHERE stage_id = ?", stage_id);
    std::vector<StoredJob> jobs;
    std::set<std::int64_t> seen;
    int row = 0;
    for (const auto& variant : variants) {
        execute(database,
                "INSERT INTO variants (stage_id, position, name, change, is_baseline, config, hidden) "
                "VALUES (?, ?, ?, ?, ?, ?, 0) ON CONFLICT (stage_id, name) DO UPDATE SET position = "
                "excluded.position, "
                "change = excluded.change, is_baseline = excluded.is_baseline, config = excluded.config, "
                "hidden = 0",
                stage_id, row++, variant.name, variant.change, variant.is_baseline ? 1 : 0,
                canonical_json(variant.config));
        const std::int64_t variant_id = number_of(
            database, "SELECT id FROM variants WHERE stage_id = ? AND name = ?", stage_id, variant.name);
        execute(database, "DELETE FROM variant_jobs WHERE variant_id = ?", variant_id);
        for (const auto& run : variant.runs) {
            const JobConfig config = job_of(variant, run);
            const std::int64_t job = find_or_add_job(database, config, paths, variant.resources);
            execute(database,
                    "INSERT INTO variant_jobs (variant_id, job_id, seed_index, initialization_seed, "
                    "data_order_seed) "
                    "VALUES (?, ?, ?, ?, ?)",
                    variant_id, job, run.pair, static_cast<std::int64_t>(run.seed.initialization),
                    static_cast<std::int64_t>(run.seed.data_order));
            if (!seen.insert(job).second) {
                continue;
            }
            SQLite::Statement state(database, "SELECT state, failures, resources FROM jobs WHERE id = ?");
            state.bind(1, job);
            state.executeStep();
            StoredJob stored;
            stored.id = job;
            stored.config = config;
            stored.paths = paths;
            stored.state = *enum_from_name<JobState>(state.getColumn(0).getString());
            stored.failures = state.getColumn(1).getInt();
            Json::parse(state.getColumn(2).getString()).get_to(stored.resources);
            stored.title = variant.name + ", " + describe(variant, run);
            jobs.push_back(std::move(stored));
        }
    }
    cancel_unnamed_jobs(database);
    return jobs;
}

}  // namespace orchestrate
