#include "coordinator/job_store.h"

#include <algorithm>
#include <set>

#include "common/error.h"
#include "common/host.h"
#include "common/time_text.h"
#include "results/schema.h"

namespace orchestrate {
namespace {

constexpr std::ptrdiff_t kKeptCheckpoints = 2;

std::string now() {
    return utc_time_text(std::chrono::system_clock::now());
}

std::string metric_column(SelectionMetric metric) {
    // The names of the enumeration are those of the columns.
    return to_string(metric);
}

SQLite::Database open_database(const std::filesystem::path& path) {
    try {
        return {path.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, 5000};
    } catch (const SQLite::Exception& error) {
        throw UserError("cannot open the database '" + path.string() + "': " + error.what() +
                        "; name another one with --db FILE");
    }
}

template <class... Values>
void execute(SQLite::Database& database, const char* sql, const Values&... values) {
    SQLite::Statement statement(database, sql);
    int index = 0;
    (statement.bind(++index, values), ...);
    statement.exec();
}

// The first column of the first row that a query gives; there must be one.
template <class... Values>
std::int64_t number_of(SQLite::Database& database, const char* sql, const Values&... values) {
    SQLite::Statement statement(database, sql);
    int index = 0;
    (statement.bind(++index, values), ...);
    statement.executeStep();
    return statement.getColumn(0).getInt64();
}

}  // namespace

std::filesystem::path state_folder(const std::filesystem::path& database) {
    return database.string() + ".d";
}

JobStore::JobStore(const std::filesystem::path& path) : database_(open_database(path)) {
    try {
        prepare_schema(database_);
    } catch (const SQLite::Exception& error) {
        throw UserError("cannot use the database '" + path.string() + "': " + error.what());
    }
    // WAL needs shared memory between processes of one host: not on network file systems.
    if (is_network_file_system(std::filesystem::absolute(path).parent_path())) {
        database_.exec("PRAGMA locking_mode = EXCLUSIVE");
        journal_mode_ = database_.execAndGet("PRAGMA journal_mode = DELETE").getString();
    } else {
        journal_mode_ = database_.execAndGet("PRAGMA journal_mode = WAL").getString();
    }
    database_.exec("PRAGMA synchronous = FULL");
    database_.exec("PRAGMA foreign_keys = ON");
}

std::int64_t JobStore::begin_study(const Study& study) {
    SQLite::Transaction transaction(database_);
    execute(database_,
            "INSERT INTO studies (name, file, toml, state, created_at) VALUES (?, ?, ?, 'running', ?) "
            "ON CONFLICT (name) DO UPDATE SET file = excluded.file, toml = excluded.toml, state = 'running', "
            "finished_at = NULL",
            study.name, study.file.string(), study.toml, now());
    const std::int64_t row = number_of(database_, "SELECT id FROM studies WHERE name = ?", study.name);
    if (!study.stages.empty()) {
        hide_stages_beside(row, study.stages);
        cancel_unnamed_jobs();
    }
    transaction.commit();
    return row;
}

void JobStore::set_study_state(std::int64_t study, StudyState state) {
    SQLite::Transaction transaction(database_);
    execute(database_,
            "UPDATE studies SET state = ?1, finished_at = CASE WHEN ?1 IN ('finished', 'failed') THEN ?2 END "
            "WHERE id = ?3",
            to_string(state), now(), study);
    transaction.commit();
}

void JobStore::hide_stages_beside(std::int64_t study, const std::vector<Stage>& stages) {
    SQLite::Statement query(database_, "SELECT id, name FROM stages WHERE study_id = ?");
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
        execute(database_, "UPDATE variants SET hidden = 1 WHERE stage_id = ?", stage);
    }
}

void JobStore::cancel_unnamed_jobs() {
    const auto transition = find_transition(JobState::waiting, JobEvent::cancelled).value();
    execute(database_,
            "UPDATE jobs SET state = ?, finished_at = ? WHERE state = 'waiting' AND NOT EXISTS "
            "(SELECT 1 FROM variant_jobs JOIN variants ON variants.id = variant_jobs.variant_id "
            "WHERE variant_jobs.job_id = jobs.id AND variants.hidden = 0)",
            to_string(transition.to), now());
}

std::int64_t JobStore::find_or_add_job(const JobConfig& config, const JobPaths& paths,
                                       const JobResources& resources) {
    const std::string identity = job_identity(config);
    SQLite::Statement known(database_, "SELECT id, state FROM jobs WHERE identity = ?");
    known.bind(1, identity);
    if (known.executeStep()) {
        const std::int64_t job = known.getColumn(0).getInt64();
        const auto state = enum_from_name<JobState>(known.getColumn(1).getString());
        known.reset();
        const auto transition = find_transition(*state, JobEvent::asked_for).value();
        if (transition.to != JobState::succeeded) {
            // Tried where its data lies now.
            execute(database_,
                    "UPDATE jobs SET paths = ?, ranks = ?, resources = ?, finished_at = NULL, state = ?, "
                    "failures = CASE WHEN ? THEN 0 ELSE failures END WHERE id = ?",
                    Json(paths).dump(), resources.ranks, Json(resources).dump(), to_string(transition.to),
                    transition.clears_failures ? 1 : 0, job);
        }
        return job;
    }
    execute(
        database_,
        "INSERT INTO jobs (identity, config, paths, ranks, resources, state, created_at) VALUES (?, ?, ?, ?, "
        "?, 'waiting', ?)",
        identity, canonical_json(config), Json(paths).dump(), resources.ranks, Json(resources).dump(), now());
    return database_.getLastInsertRowid();
}

std::vector<StoredJob> JobStore::sync_stage(std::int64_t study, int position, const Stage& stage,
                                            const std::vector<Variant>& variants, const JobPaths& paths) {
    SQLite::Transaction transaction(database_);
    execute(database_,
            "INSERT INTO stages (study_id, position, name, kind, select_by) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (study_id, name) DO UPDATE SET position = excluded.position, kind = excluded.kind, "
            "select_by = excluded.select_by",
            study, position, stage.name, to_string(stage.kind), to_string(stage.select_by));
    const std::int64_t stage_id =
        number_of(database_, "SELECT id FROM stages WHERE study_id = ? AND name = ?", study, stage.name);

    execute(database_, "UPDATE variants SET hidden = 1 WHERE stage_id = ?", stage_id);
    std::vector<StoredJob> jobs;
    std::set<std::int64_t> seen;
    int row = 0;
    for (const auto& variant : variants) {
        execute(database_,
                "INSERT INTO variants (stage_id, position, name, change, is_baseline, config, hidden) "
                "VALUES (?, ?, ?, ?, ?, ?, 0) ON CONFLICT (stage_id, name) DO UPDATE SET position = "
                "excluded.position, "
                "change = excluded.change, is_baseline = excluded.is_baseline, config = excluded.config, "
                "hidden = 0",
                stage_id, row++, variant.name, variant.change, variant.is_baseline ? 1 : 0,
                canonical_json(variant.config));
        const std::int64_t variant_id = number_of(
            database_, "SELECT id FROM variants WHERE stage_id = ? AND name = ?", stage_id, variant.name);
        execute(database_, "DELETE FROM variant_jobs WHERE variant_id = ?", variant_id);
        for (const auto& run : variant.runs) {
            const JobConfig config = job_of(variant, run);
            const std::int64_t job = find_or_add_job(config, paths, variant.resources);
            execute(database_,
                    "INSERT INTO variant_jobs (variant_id, job_id, seed_index, initialization_seed, "
                    "data_order_seed) "
                    "VALUES (?, ?, ?, ?, ?)",
                    variant_id, job, run.pair, static_cast<std::int64_t>(run.seed.initialization),
                    static_cast<std::int64_t>(run.seed.data_order));
            if (!seen.insert(job).second) {
                continue;
            }
            SQLite::Statement state(database_, "SELECT state, failures, resources FROM jobs WHERE id = ?");
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
    cancel_unnamed_jobs();
    transaction.commit();
    return jobs;
}

std::vector<std::optional<double>> JobStore::mean_metric(std::int64_t study, const std::string& stage,
                                                         SelectionMetric metric, SelectionPart part) {
    // A run that collapsed onto one class is never chosen as a baseline.
    SQLite::Statement query(
        database_,
        "SELECT avg(CASE WHEN r.collapsed = 0 THEN m." + metric_column(metric) +
            " END) FROM variants v JOIN stages s ON s.id = v.stage_id "
            "LEFT JOIN variant_jobs j ON j.variant_id = v.id "
            "LEFT JOIN part_metrics m ON m.job_id = j.job_id AND m.part = ? "
            "LEFT JOIN results r ON r.job_id = j.job_id "
            "WHERE s.study_id = ? AND s.name = ? AND v.hidden = 0 GROUP BY v.id ORDER BY v.position");
    query.bind(1, to_string(part));
    query.bind(2, study);
    query.bind(3, stage);
    std::vector<std::optional<double>> means;
    while (query.executeStep()) {
        const auto mean = query.getColumn(0);
        means.push_back(mean.isNull() ? std::nullopt : std::optional(mean.getDouble()));
    }
    return means;
}

std::vector<std::optional<MeasuredDifference>> JobStore::differences(std::int64_t study,
                                                                     const std::string& stage,
                                                                     SelectionMetric metric,
                                                                     SelectionPart part) {
    const std::string value =
        "(SELECT CASE WHEN r.collapsed = 0 THEN m." + metric_column(metric) +
        " END FROM part_metrics m JOIN results r ON r.job_id = m.job_id WHERE m.part = ?1 AND m.job_id = ";
    SQLite::Statement query(
        database_,
        "SELECT v.id, " + value + "j.job_id) - " + value +
            "b.job_id) FROM variants v JOIN stages s ON s.id = v.stage_id "
            "LEFT JOIN variant_jobs j ON j.variant_id = v.id AND v.is_baseline = 0 "
            "LEFT JOIN variants base ON base.stage_id = v.stage_id AND base.is_baseline = 1 AND base.hidden "
            "= 0 "
            "LEFT JOIN variant_jobs b ON b.variant_id = base.id AND b.seed_index = j.seed_index "
            "WHERE s.study_id = ?2 AND s.name = ?3 AND v.hidden = 0 ORDER BY v.position, j.seed_index");
    query.bind(1, to_string(part));
    query.bind(2, study);
    query.bind(3, stage);
    std::vector<std::vector<double>> values;
    std::int64_t variant = -1;
    while (query.executeStep()) {
        if (query.getColumn(0).getInt64() != variant) {
            variant = query.getColumn(0).getInt64();
            values.emplace_back();
        }
        if (!query.getColumn(1).isNull()) {
            values.back().push_back(query.getColumn(1).getDouble());
        }
    }
    std::vector<std::optional<MeasuredDifference>> result;
    for (const auto& of_variant : values) {
        result.push_back(measured_difference(of_variant));
    }
    return result;
}

std::vector<OpenAttempt> JobStore::open_attempts() {
    SQLite::Statement query(
        database_,
        "SELECT a.job_id, a.number, a.worker, a.host, (SELECT w.process_id FROM workers w WHERE "
        "w.name = a.worker AND w.host = a.host ORDER BY w.id DESC LIMIT 1) "
        "FROM attempts a JOIN jobs j ON j.id = a.job_id "
        "WHERE a.ended_at IS NULL AND j.state = 'running'");
    std::vector<OpenAttempt> attempts;
    while (query.executeStep()) {
        attempts.push_back({{query.getColumn(0).getInt64(), query.getColumn(1).getInt64()},
                            query.getColumn(2).getString(),
                            query.getColumn(3).getString(),
                            query.getColumn(4).getInt64()});
    }
    return attempts;
}

std::int64_t JobStore::add_worker(const WorkerRecord& worker) {
    SQLite::Transaction transaction(database_);
    execute(database_,
            "INSERT INTO workers (name, host, process_id, ranks, device_class, log_file, connected_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            worker.name, worker.host, worker.process_id, worker.ranks, worker.device, worker.log_file, now());
    const std::int64_t row = database_.getLastInsertRowid();
    transaction.commit();
    return row;
}

std::vector<WorkerRecord> JobStore::present_workers() {
    SQLite::Statement query(database_,
                            "SELECT id, name, host, process_id, ranks, device_class, log_file FROM workers "
                            "WHERE left_at IS NULL");
    std::vector<WorkerRecord> workers;
    while (query.executeStep()) {
        workers.push_back({query.getColumn(0).getInt64(), query.getColumn(1).getString(),
                           query.getColumn(2).getString(), query.getColumn(3).getInt64(),
                           query.getColumn(4).getInt(), query.getColumn(5).getString(),
                           query.getColumn(6).getString()});
    }
    return workers;
}

std::int64_t JobStore::last_worker_number() {
    return database_.execAndGet("SELECT coalesce(max(id), 0) FROM workers").getInt64();
}

void JobStore::worker_left(std::int64_t worker_row, const std::string& why) {
    SQLite::Transaction transaction(database_);
    execute(database_, "UPDATE workers SET left_at = ?, left_why = ? WHERE id = ?", now(), why, worker_row);
    transaction.commit();
}

BegunAttempt JobStore::begin_attempt(std::int64_t job, const WorkerRecord& worker,
                                     const std::filesystem::path& log_folder) {
    SQLite::Transaction transaction(database_);
    const std::int64_t number =
        number_of(database_, "SELECT coalesce(max(number), 0) FROM attempts WHERE job_id = ?", job) + 1;
    const std::string log_name = "job-" + std::to_string(job) + "-attempt-" + std::to_string(number) + ".log";
    BegunAttempt begun{{job, number}, (log_folder / log_name).string()};
    execute(database_,
            "INSERT INTO attempts (job_id, number, worker, host, device_class, ranks, started_at, log_file) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            job, number, worker.name, worker.host, worker.device, worker.ranks, now(), begun.log_file);
    execute(database_, "UPDATE jobs SET state = 'running' WHERE id = ?", job);
    transaction.commit();
    return begun;
}

bool JobStore::is_current(const AttemptId& attempt) {
    SQLite::Statement query(database_,
                            "SELECT 1 FROM attempts WHERE job_id = ?1 AND number = ?2 AND ended_at IS NULL "
                            "AND number = (SELECT max(number) FROM attempts WHERE job_id = ?1)");
    query.bind(1, attempt.job);
    query.bind(2, attempt.number);
    return query.executeStep();
}

bool JobStore::add_epoch(const AttemptId& attempt, const EpochMetrics& metrics) {
    SQLite::Transaction transaction(database_);
    if (!is_current(attempt)) {
        return false;
    }
    store_epoch(attempt, metrics);
    transaction.commit();
    return true;
}

std::optional<std::vector<StoredCheckpoint>> JobStore::add_checkpoint(const AttemptId& attempt,
                                                                      const StoredCheckpoint& checkpoint) {
    SQLite::Transaction transaction(database_);
    if (!is_current(attempt)) {
        return std::nullopt;
    }
    execute(database_, "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?, ?, ?)", attempt.job,
            attempt.number, checkpoint.step, checkpoint.file, checkpoint.sha256, checkpoint.bytes, now());
    auto needless = checkpoints(attempt.job);
    needless.erase(needless.begin(),
                   needless.begin() + std::min<std::ptrdiff_t>(kKeptCheckpoints, std::ssize(needless)));
    for (const auto& old : needless) {
        execute(database_, "DELETE FROM checkpoints WHERE job_id = ? AND attempt = ? AND step = ?",
                attempt.job, old.attempt, old.step);
    }
    transaction.commit();
    return needless;
}

std::vector<StoredCheckpoint> JobStore::checkpoints(std::int64_t job) {
    SQLite::Statement query(database_,
                            "SELECT attempt, step, file, sha256, bytes FROM checkpoints WHERE job_id = ? "
                            "ORDER BY attempt DESC, step DESC");
    query.bind(1, job);
    std::vector<StoredCheckpoint> found;
    while (query.executeStep()) {
        found.push_back({query.getColumn(0).getInt64(), query.getColumn(1).getInt64(),
                         query.getColumn(2).getString(), query.getColumn(3).getString(),
                         query.getColumn(4).getInt64()});
    }
    return found;
}

bool JobStore::resume_attempt(const AttemptId& attempt, const ResumePoint& point) {
    SQLite::Transaction transaction(database_);
    if (!is_current(attempt)) {
        return false;
    }
    execute(database_,
            "UPDATE attempts SET resumed_attempt = ?, resumed_step = ? WHERE job_id = ? AND number = ?",
            point.attempt, point.step, attempt.job, attempt.number);
    execute(database_, "DELETE FROM epochs WHERE job_id = ? AND epoch > ?", attempt.job, point.epochs);
    transaction.commit();
    return true;
}

bool JobStore::is_of_job(const AttemptEnded& ended) {
    return ended.job_identity.empty() ||
           number_of(database_, "SELECT count(*) FROM jobs WHERE id = ? AND identity = ?", ended.attempt.job,
                     ended.job_identity) == 1;
}

bool JobStore::end_attempt(const AttemptEnded& ended, JobState next_state, bool counts_as_failure) {
    SQLite::Transaction transaction(database_);
    if (!is_current(ended.attempt) || !is_of_job(ended)) {
        return false;
    }
    execute(database_,
            "UPDATE attempts SET ended_at = ?, cause = ?, message = ? WHERE job_id = ? AND number = ?", now(),
            to_string(ended.cause), ended.message, ended.attempt.job, ended.attempt.number);
    const bool final = next_state != JobState::waiting && next_state != JobState::running;
    execute(database_,
            "UPDATE jobs SET state = ?1, failures = failures + ?2, finished_at = CASE WHEN ?3 THEN ?4 END "
            "WHERE id = ?5",
            to_string(next_state), counts_as_failure ? 1 : 0, final ? 1 : 0, now(), ended.attempt.job);
    if (next_state == JobState::succeeded) {
        for (const auto& metrics : ended.epochs) {
            store_epoch(ended.attempt, metrics);
        }
        store_result(ended.attempt, ended.result.value());
        execute(database_, "DELETE FROM checkpoints WHERE job_id = ?", ended.attempt.job);
    }
    transaction.commit();
    return true;
}

void JobStore::store_epoch(const AttemptId& attempt, const EpochMetrics& metrics) {
    if (metrics.epoch == 1) {
        execute(database_, "DELETE FROM epochs WHERE job_id = ? AND attempt <> ?", attempt.job,
                attempt.number);
    }
    const auto& validation = metrics.validation;
    execute(database_, "INSERT OR REPLACE INTO epochs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            attempt.job, metrics.epoch, attempt.number, metrics.train_loss, metrics.learning_rate,
            metrics.seconds, metrics.tokens_per_second, validation.loss, validation.accuracy,
            validation.macro_precision, validation.macro_recall, validation.macro_f1);
}

void JobStore::store_result(const AttemptId& attempt, const AttemptResult& result) {
    const std::int64_t job = attempt.job;
    execute(database_, "UPDATE attempts SET device_class = ? WHERE job_id = ? AND number = ?",
            result.device_class, job, attempt.number);
    execute(database_, "INSERT INTO results VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", job,
            attempt.number, result.selected_epoch, result.parameters, result.train_seconds,
            result.total_seconds, result.peak_memory_bytes, result.device_class, result.ranks,
            result.collapsed ? 1 : 0, result.data.data_sha256,
            Json(result.data).dump(-1, ' ', false, Json::error_handler_t::replace),
            Json(result.classes).dump());
    const auto store_part = [&](const char* part, const PartMetrics& metrics) {
        execute(database_, "INSERT INTO part_metrics VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", job, part,
                metrics.rows, metrics.loss, metrics.accuracy, metrics.macro_precision, metrics.macro_recall,
                metrics.macro_f1, metrics.weighted_precision, metrics.weighted_recall, metrics.weighted_f1,
                metrics.f1_of_macro_averages);
    };
    store_part("validation", result.validation);
    store_part("test", result.test);
    for (std::size_t i = 0; i < result.test_classes.size(); ++i) {
        const auto& metrics = result.test_classes[i];
        execute(database_, "INSERT INTO class_metrics VALUES (?, ?, ?, ?, ?, ?, ?)", job,
                static_cast<std::int64_t>(i), metrics.name, metrics.precision, metrics.recall, metrics.f1,
                metrics.support);
    }
    for (const auto& cell : result.test_confusion) {
        execute(database_, "INSERT INTO confusion VALUES (?, ?, ?, ?)", job, cell.true_class,
                cell.predicted_class, cell.count);
    }
    if (result.model) {
        execute(database_, "INSERT INTO models VALUES (?, ?, ?, ?, ?)", job, result.model->folder,
                result.model->sha256, result.model->bytes, now());
    }
    const auto& predictions = result.test_predictions;
    SQLite::Statement insert(database_, "INSERT INTO predictions VALUES (?, ?, ?, ?, ?)");
    for (std::size_t i = 0; i < predictions.row.size(); ++i) {
        insert.bind(1, job);
        insert.bind(2, predictions.row[i]);
        insert.bind(3, predictions.true_class.at(i));
        insert.bind(4, predictions.predicted_class.at(i));
        insert.bind(5, static_cast<double>(predictions.probability.at(i)));
        insert.exec();
        insert.reset();
    }
}

bool JobStore::has_succeeded(std::int64_t job) {
    return number_of(database_, "SELECT count(*) FROM jobs WHERE id = ? AND state = 'succeeded'", job) == 1;
}

std::int64_t JobStore::unfinished_jobs() {
    return database_.execAndGet("SELECT count(*) FROM jobs WHERE state IN ('waiting', 'running')").getInt64();
}

}  // namespace orchestrate
