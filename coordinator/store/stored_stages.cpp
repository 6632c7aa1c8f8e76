#include "coordinator/store/stored_stages.h"

#include <algorithm>
#include <limits>
#include <unordered_set>

#include "common/base/sha256.h"
#include "common/base/time_text.h"
#include "common/job/command_identity.h"

namespace orchestrate {
namespace {

// How far a known job is trained: as far as this stage wants, or further if others want more (0: to the end).
std::int64_t merged_pause(StoreDatabase& database, JobId job, std::int64_t before, std::int64_t wanted) {
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
struct JobEnvironment {
    std::string paths;
    JobResources resources;
    std::string resources_text;
};

// The job of that configuration, which waits again unless it runs, has succeeded, or is kept; without its title.
WrittenJob find_or_add_job(StoreDatabase& database, const JobConfig& config, const JobEnvironment& env,
                           const FailedBefore& failed_before) {
    const std::string config_text = canonical_json(config);
    const bool may_have_moved = has_absolute_program(config);
    const std::string identity = may_have_moved ? job_identity(config) : sha256_hex(config_text);
    WrittenJob written;
    Job& job = written.job;
    JobId& id = written.id;
    job.resources = env.resources;
    BoundStatement known(database,
                         "SELECT id, state, failures, resources, paths, cancelled_by_user, CASE WHEN ?2 THEN "
                         "config END FROM jobs "
                         "WHERE identity = ?1",
                         identity, may_have_moved ? 1 : 0);
    if (!known->executeStep()) {
        execute(database,
                "INSERT INTO jobs (identity, config, paths, ranks, resources, state, created_at) VALUES (?, "
                "?, ?, ?, ?, 'waiting', ?)",
                identity, config_text, env.paths, env.resources.ranks, env.resources_text, utc_now_text());
        id = JobId(database.getLastInsertRowid());
        return written;
    }
    id = id_in<JobId>(*known, 0);
    const auto state = enum_from_name<JobState>(known->getColumn(1).getString()).value();
    const bool cancelled_by_user = known->getColumn(5).getInt() != 0;
    const bool stays =
        failed_before.old_failures == OldFailures::keep ||
        (failed_before.failed_meanwhile != nullptr && failed_before.failed_meanwhile->contains(id));
    if (stays && is_over_without_result(state) && (state != JobState::cancelled || cancelled_by_user)) {
        job.state = state;
        job.failures = known->getColumn(2).getInt();
        return written;
    }
    const std::string resources = known->getColumn(3).getString();
    JobResources before;
    Json::parse(resources).get_to(before);
    std::string resources_text = env.resources_text;
    if (const std::int64_t pause =
            merged_pause(database, id, before.pause_after_epoch, job.resources.pause_after_epoch);
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
    const bool has_same_program = !may_have_moved || known->getColumn(6).getString() == config_text;
    const bool as_asked_for = has_same_program && state == transition.to && resources == resources_text &&
                              known->getColumn(4).getString() == env.paths;
    if (transition.to == JobState::succeeded) {
        job.resources = before;
    } else if (!as_asked_for) {
        // Tried where its data and its program are now.
        execute(database,
                "UPDATE jobs SET config = ?, paths = ?, ranks = ?, resources = ?, finished_at = NULL, "
                "cancelled_by_user = 0, "
                "state = ?, failures = ? WHERE id = ?",
                config_text, env.paths, env.resources.ranks, resources_text, to_string(transition.to),
                job.failures, id);
    }
    return written;
}

std::int64_t limit_of(std::size_t rows) {
    return static_cast<std::int64_t>(std::min<std::size_t>(rows, std::numeric_limits<std::int64_t>::max()));
}

std::vector<JobId> waiting_jobs_of(StoreDatabase& database, std::int64_t stage) {
    BoundStatement query(
        database,
        "SELECT DISTINCT jobs.id FROM variants JOIN variant_jobs ON variant_id = variants.id "
        "JOIN jobs ON jobs.id = job_id WHERE stage_id = ? AND +state = 'waiting'",
        stage);
    std::vector<JobId> jobs;
    while (query->executeStep()) {
        jobs.push_back(id_in<JobId>(*query, 0));
    }
    return jobs;
}

}  // namespace

std::vector<JobId> hide_stages_beside(StoreDatabase& database, StudyId study,
                                      const std::vector<Stage>& stages) {
    BoundStatement query(database, "SELECT id, name FROM stages WHERE study_id = ?", study);
    std::vector<std::int64_t> gone;
    while (query->executeStep()) {
        const std::string name = query->getColumn(1).getString();
        if (std::none_of(stages.begin(), stages.end(),
                         [&](const Stage& stage) { return stage.name == name; })) {
            gone.push_back(query->getColumn(0).getInt64());
        }
    }
    std::vector<JobId> jobs;
    for (const std::int64_t stage : gone) {
        for (const JobId job : waiting_jobs_of(database, stage)) {
            jobs.push_back(job);
        }
        execute(database, "UPDATE variants SET hidden = 1 WHERE stage_id = ?", stage);
    }
    return jobs;
}

std::vector<JobId> cancel_unnamed_jobs(StoreDatabase& database, const std::vector<JobId>& jobs) {
    const auto transition = find_transition(JobState::waiting, JobEvent::cancelled).value();
    const std::string at = utc_now_text();
    std::vector<JobId> cancelled;
    for (const JobId job : jobs) {
        BoundStatement update(
            database,
            "UPDATE jobs SET state = ?, finished_at = ? WHERE id = ? AND state = 'waiting' AND NOT EXISTS "
            "(SELECT 1 FROM variant_jobs JOIN variants ON variants.id = variant_jobs.variant_id "
            "WHERE variant_jobs.job_id = jobs.id AND variants.hidden = 0)",
            to_string(transition.to), at, job);
        if (update->exec() > 0) {
            cancelled.push_back(job);
        }
    }
    return cancelled;
}

StageWriter::StageWriter(StudyId study, int position, const Stage& stage,
                         const std::vector<Variant>& variants, const JobPaths& paths,
                         const FailedBefore& failed_before)
    : study_(study),
      position_(position),
      stage_(stage),
      variants_(variants),
      paths_text_(Json(paths).dump()),
      failed_before_(failed_before) {}

void StageWriter::begin(StoreDatabase& database) {
    execute(database,
            "INSERT INTO stages (study_id, position, name, kind, select_by, select_part, primary_metric) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (study_id, name) DO UPDATE SET position = "
            "excluded.position, "
            "kind = excluded.kind, select_by = excluded.select_by, select_part = excluded.select_part, "
            "primary_metric = excluded.primary_metric",
            study_, position_, stage_.name, to_string(stage_.kind), stage_.select_by.name,
            to_string(stage_.select_by.part), stage_.primary_metric);
    stage_id_ =
        number_of(database, "SELECT id FROM stages WHERE study_id = ? AND name = ?", study_, stage_.name);
    execute(database, "DELETE FROM stage_metrics WHERE stage_id = ?", stage_id_);
    for (std::size_t i = 0; i < stage_.metrics.size(); ++i) {
        const MetricDeclaration& metric = stage_.metrics[i];
        execute(database, "INSERT INTO stage_metrics VALUES (?, ?, ?, ?, ?, ?)", stage_id_,
                static_cast<std::int64_t>(i), metric.name, to_string(metric.goal), to_string(metric.unit),
                metric.in_table ? 1 : 0);
    }
}

std::vector<WrittenJob> StageWriter::write(StoreDatabase& database, std::size_t max_rows) {
    std::vector<WrittenJob> jobs;
    Slice slice{position_now_, {}, {}, max_rows};
    Position& position = slice.position;
    if (position.step == Step::begin) {
        begin(database);
        position.step = Step::hide;
    }
    if (position.step == Step::hide) {
        hide(database, slice);
    }
    if (position.step == Step::write && slice.rows_left > 0) {
        write_runs(database, slice, jobs);
    }
    if (position.step == Step::cancel && slice.rows_left > 0) {
        look_for_jobs_to_cancel(database, slice);
    }
    // A job that moves to a variant which is still to come waits again then.
    slice.cancelled = cancel_unnamed_jobs(database, slice.replaced);
    pending_ = std::move(slice);
    return jobs;
}

std::vector<JobId> StageWriter::committed(std::vector<WrittenJob>& written) {
    position_now_ = pending_.position;
    std::vector<JobId> first_met;
    first_met.reserve(written.size());
    for (auto& [id, job] : written) {
        if (seen_.insert(id).second) {
            first_met.push_back(id);
        } else {
            job.title.clear();
        }
    }
    return first_met;
}

void StageWriter::hide(StoreDatabase& database, Slice& slice) const {
    Position& position = slice.position;
    std::string last;
    std::size_t found = 0;
    {
        BoundStatement names(
            database, "SELECT name FROM variants WHERE stage_id = ? AND name > ? ORDER BY name LIMIT ?",
            stage_id_, position.name, limit_of(slice.rows_left));
        for (; names->executeStep(); ++found) {
            last = names->getColumn(0).getString();
        }
    }
    if (found > 0) {
        execute(
            database,
            "UPDATE variants SET hidden = 1 WHERE stage_id = ? AND name > ? AND name <= ? AND +hidden = 0",
            stage_id_, position.name, last);
    }
    position.name = last;
    if (found < slice.rows_left) {
        position.step = Step::write;
        position.name.clear();
    }
    slice.rows_left -= found;
}

void StageWriter::write_runs(StoreDatabase& database, Slice& slice, std::vector<WrittenJob>& jobs) const {
    Position& position = slice.position;
    while (position.variant < variants_.size() && slice.rows_left > 0) {
        const Variant& variant = variants_[position.variant];
        if (position.variant_id == 0) {
            begin_variant(database, position);
        }
        for (; position.run < variant.runs.size() && slice.rows_left > 0; --slice.rows_left) {
            write_run(database, slice, jobs);
            ++position.run;
        }
        if (position.run == variant.runs.size()) {
            if (position.had_jobs) {
                end_variant(database, slice);
            }
            slice.rows_left -= variant.runs.empty() ? 1 : 0;
            ++position.variant;
            position.run = 0;
            position.variant_id = 0;
        }
    }
    if (position.variant == variants_.size()) {
        position.step = Step::cancel;
    }
}

void StageWriter::begin_variant(StoreDatabase& database, Position& position) const {
    const Variant& variant = variants_[position.variant];
    execute(database,
            "INSERT INTO variants (stage_id, position, name, change, is_baseline, config, hidden) "
            "VALUES (?, ?, ?, ?, ?, ?, 0) ON CONFLICT (stage_id, name) DO UPDATE SET position = "
            "excluded.position, "
            "change = excluded.change, is_baseline = excluded.is_baseline, config = excluded.config, "
            "hidden = 0, is_ensemble = 0",
            stage_id_, static_cast<std::int64_t>(position.variant), variant.name, variant.change,
            variant.is_baseline ? 1 : 0, canonical_json(variant.config));
    position.variant_id = number_of(database, "SELECT id FROM variants WHERE stage_id = ? AND name = ?",
                                    stage_id_, variant.name);
    position.had_jobs = number_of(database, "SELECT EXISTS (SELECT 1 FROM variant_jobs WHERE variant_id = ?)",
                                  position.variant_id) != 0;
}

void StageWriter::write_run(StoreDatabase& database, Slice& slice, std::vector<WrittenJob>& jobs) const {
    const Position& position = slice.position;
    const Variant& variant = variants_[position.variant];
    const Run& run = variant.runs[position.run];
    const JobEnvironment env{paths_text_, variant.resources, Json(variant.resources).dump()};
    WrittenJob written = find_or_add_job(database, job_of(variant, run), env, failed_before_);
    if (position.had_jobs) {
        BoundStatement before(database,
                              "SELECT job_id FROM variant_jobs WHERE variant_id = ? AND seed_index = ?",
                              position.variant_id, run.pair);
        if (before->executeStep() && id_in<JobId>(*before, 0) != written.id) {
            slice.replaced.push_back(id_in<JobId>(*before, 0));
        }
    }
    execute(database,
            "INSERT OR REPLACE INTO variant_jobs (variant_id, job_id, seed_index, initialization_seed, "
            "data_order_seed) "
            "VALUES (?, ?, ?, ?, ?)",
            position.variant_id, written.id, run.pair, static_cast<std::int64_t>(run.seed.initialization),
            static_cast<std::int64_t>(run.seed.data_order));
    written.job.title = variant.name + ", " + describe(variant, run);
    jobs.push_back(std::move(written));
}

// Runs that the variant no longer has.
void StageWriter::end_variant(StoreDatabase& database, Slice& slice) const {
    std::unordered_set<std::int64_t> kept;
    for (const auto& run : variants_[slice.position.variant].runs) {
        kept.insert(run.pair);
    }
    std::vector<std::int64_t> gone;
    {
        BoundStatement known(database, "SELECT seed_index, job_id FROM variant_jobs WHERE variant_id = ?",
                             slice.position.variant_id);
        while (known->executeStep()) {
            if (!kept.contains(known->getColumn(0).getInt64())) {
                gone.push_back(known->getColumn(0).getInt64());
                slice.replaced.push_back(id_in<JobId>(*known, 1));
            }
        }
    }
    for (const std::int64_t seed_index : gone) {
        execute(database, "DELETE FROM variant_jobs WHERE variant_id = ? AND seed_index = ?",
                slice.position.variant_id, seed_index);
    }
}

// The waiting jobs of variants that are hidden.
void StageWriter::look_for_jobs_to_cancel(StoreDatabase& database, Slice& slice) const {
    Position& position = slice.position;
    while (slice.rows_left > 0) {
        if (position.variant_id == 0) {
            BoundStatement next(database,
                                "SELECT id, name, hidden FROM variants WHERE stage_id = ? AND name > ? "
                                "ORDER BY name LIMIT 1",
                                stage_id_, position.name);
            if (!next->executeStep()) {
                position.step = Step::done;
                return;
            }
            position.name = next->getColumn(1).getString();
            --slice.rows_left;
            if (next->getColumn(2).getInt() == 0) {
                continue;
            }
            position.variant_id = next->getColumn(0).getInt64();
            position.last_seed_index = std::numeric_limits<std::int64_t>::min();
        }
        std::size_t found = 0;
        BoundStatement rows(
            database,
            "SELECT seed_index, job_id, state FROM variant_jobs JOIN jobs ON jobs.id = job_id "
            "WHERE variant_id = ? AND seed_index > ? ORDER BY seed_index LIMIT ?",
            position.variant_id, position.last_seed_index, limit_of(slice.rows_left));
        for (; rows->executeStep(); ++found) {
            position.last_seed_index = rows->getColumn(0).getInt64();
            if (rows->getColumn(2).getString() == to_string(JobState::waiting)) {
                slice.replaced.push_back(id_in<JobId>(*rows, 1));
            }
        }
        if (found < slice.rows_left) {
            position.variant_id = 0;
        }
        slice.rows_left -= found;
    }
}

}  // namespace orchestrate
