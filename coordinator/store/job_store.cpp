#include "coordinator/store/job_store.h"

#include <algorithm>
#include <charconv>
#include <memory>
#include <stdexcept>

#include "common/base/sha256.h"
#include "common/base/time_text.h"
#include "coordinator/store/stored_results.h"

namespace orchestrate {
namespace {

constexpr std::ptrdiff_t kKeptCheckpoints = 2;

// Numbers of workers' names above it are not ours, and would leave none for those to come.
constexpr std::int64_t kMaxWorkerNumber = std::int64_t{1} << 62;

// Whether an attempt goes on from `left` rather than from `right`.
bool is_better(const StoredCheckpoint& left, const StoredCheckpoint& right) {
    return std::pair(left.attempt, left.step) > std::pair(right.attempt, right.step);
}

void insert_checkpoint(StoreDatabase& database, JobId job, const StoredCheckpoint& checkpoint,
                       const std::string& at) {
    execute(database, "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?, ?, ?)", job,
            checkpoint.attempt, checkpoint.step, checkpoint.file, checkpoint.sha256, checkpoint.bytes, at);
}

// What is written of an attempt that ends, and of its job, besides its epochs and its result.
struct EndedRows {
    AttemptId attempt;
    Cause cause = Cause::succeeded;
    std::string message;
    std::string device_class;  // empty: it stays
    JobState state = JobState::waiting;
    int failures = 0;
    std::string at;
    std::optional<double> seconds;
};

void write_end(StoreDatabase& database, const EndedRows& rows) {
    const auto& [job, number] = rows.attempt;
    execute(database,
            "UPDATE attempts SET ended_at = ?, seconds = ?, cause = ?, message = ?, "
            "device_class = coalesce(nullif(?, ''), device_class) WHERE job_id = ? AND number = ?",
            rows.at, rows.seconds, to_string(rows.cause), rows.message, rows.device_class, job, number);
    const bool final = rows.state != JobState::waiting;
    execute(database,
            "UPDATE jobs SET state = ?1, failures = ?2, finished_at = CASE WHEN ?3 THEN ?4 END, "
            "cancelled_by_user = ?6 "
            "WHERE id = ?5",
            to_string(rows.state), rows.failures, final ? 1 : 0, rows.at, job,
            rows.cause == Cause::cancelled ? 1 : 0);
}

// The same, of an attempt whose result or epochs the tables refuse.
EndedRows without_result(EndedRows rows) {
    if (rows.cause == Cause::succeeded) {
        rows.cause = Cause::worker_crashed;
        rows.message = "its result could not be stored";
        rows.device_class.clear();
        rows.state = JobState::failed;
        ++rows.failures;
    }
    return rows;
}

std::int64_t last_row(StoreFile& file) {
    return file.read([](StoreDatabase& database) {
        return number_of(database, "SELECT coalesce(max(id), 0) FROM workers");
    });
}

// A worker of an older version reports the SHA-256 of the job's whole configuration (see common/job/command_identity.h).
bool is_of_job(const AttemptEnded& ended, const std::string& identity, StoreFile& file) {
    if (ended.job_identity.empty() || ended.job_identity == identity) {
        return true;
    }
    return file.read([&](StoreDatabase& database) {
        BoundStatement query(database, "SELECT config FROM jobs WHERE id = ?", ended.attempt.job);
        return query->executeStep() && sha256_hex(query->getColumn(0).getString()) == ended.job_identity;
    });
}

}  // namespace

JobStore::JobStore(const std::filesystem::path& path, const StoreOptions& options)
    : file_(path, options), last_worker_row_(last_row(file_)) {}

JobStore::JobStore(SQLite::Database database, const StoreOptions& options)
    : file_(std::move(database), options), last_worker_row_(last_row(file_)) {}

void JobStore::change(PendingChange change) {
    pending_.push_back(std::move(change));
    if (!file_.options().grouped) {
        commit();
    }
}

void JobStore::commit() {
    if (pending_.empty()) {
        return;
    }
    try {
        file_.transaction([&](StoreDatabase& database) {
            for (const auto& change : pending_) {
                change.apply(database);
            }
        });
    } catch (const std::exception& error) {
        if (!is_fault_of_a_change(error)) {
            throw;
        }
        commit_one_by_one();
    }
    ++commits_;
    pending_.clear();
    for (const JobId job : std::exchange(over_, {})) {
        if (is_over(jobs_.at(job).state)) {
            records_.erase(job);
        }
    }
}

// What one change has written is taken back alone if the tables refuse it.
void JobStore::commit_one_by_one() {
    std::vector<DroppedChange> dropped;
    file_.transaction([&](StoreDatabase& database) {
        dropped.clear();
        const auto succeeds = [&](const Change& change) {
            execute(database, "SAVEPOINT one_change");
            std::string why;
            try {
                change(database);
            } catch (const std::exception& error) {
                if (!is_fault_of_a_change(error)) {
                    throw;
                }
                why = error.what();
                execute(database, "ROLLBACK TO one_change");
            }
            execute(database, "RELEASE one_change");
            if (!why.empty()) {
                dropped.push_back({why, {}});
            }
            return why.empty();
        };
        for (const auto& change : pending_) {
            if (!succeeds(change.apply)) {
                dropped.back().ended = change.ended;
                if (change.otherwise) {
                    change.otherwise(database);
                }
            }
        }
    });
    for (auto& change : dropped) {
        if (change.ended) {
            jobs_.apply(change.ended->job, JobEvent::result_refused);
        }
        dropped_.push_back(std::move(change));
    }
}

// No change of what is not in memory can be waiting: whoever changes a job looks here first.
const Job* JobStore::find_job(JobId id) {
    if (const Job* known = jobs_.find(id)) {
        return known;
    }
    return file_.read([&](StoreDatabase& database) -> const Job* {
        BoundStatement query(database, "SELECT state, failures, resources FROM jobs WHERE id = ?", id);
        if (!query->executeStep()) {
            return nullptr;
        }
        Job job;
        job.state = enum_from_name<JobState>(query->getColumn(0).getString()).value();
        job.failures = query->getColumn(1).getInt();
        Json::parse(query->getColumn(2).getString()).get_to(job.resources);
        jobs_.put(id, std::move(job));
        return jobs_.find(id);
    });
}

JobStore::AttemptRecord& JobStore::record_of(JobId job) {
    if (const auto found = records_.find(job); found != records_.end()) {
        return found->second;
    }
    AttemptRecord record = file_.read([&](StoreDatabase& database) {
        BoundStatement query(
            database,
            "SELECT identity, (SELECT coalesce(max(number), 0) FROM attempts WHERE job_id = jobs.id) "
            "FROM jobs WHERE id = ?",
            job);
        if (!query->executeStep()) {
            throw std::logic_error("there is no job " + to_string(job));
        }
        return AttemptRecord{.last_attempt = query->getColumn(1).getInt64(),
                             .identity = query->getColumn(0).getString(),
                             .checkpoints = {},
                             .facts = {},
                             .replaced_from = {},
                             .epochs_without_gap = 0};
    });
    return records_.emplace(job, std::move(record)).first->second;
}

JobStore::AttemptRecord* JobStore::record_if_current(const AttemptId& attempt) {
    const Job* job = find_job(attempt.job);
    if (job == nullptr || job->state != JobState::running) {
        return nullptr;
    }
    AttemptRecord& record = record_of(attempt.job);
    return record.last_attempt == attempt.number ? &record : nullptr;
}

bool JobStore::cancel(JobId job) {
    const Job* known = find_job(job);
    if (known == nullptr || known->state == JobState::running) {
        return false;
    }
    const auto transition = jobs_.apply(job, JobEvent::cancelled);
    if (!transition) {
        return false;
    }
    change([job, state = transition->to, at = utc_now_text()](StoreDatabase& database) {
        execute(database, "UPDATE jobs SET state = ?, cancelled_by_user = 1, finished_at = ? WHERE id = ?",
                to_string(state), at, job);
    });
    return true;
}

std::vector<OpenAttempt> JobStore::open_attempts() {
    commit();
    return file_.read([&](StoreDatabase& database) {
        SQLite::Statement query(
            database,
            "SELECT a.job_id, a.number, a.worker, a.host, (SELECT w.process_id FROM workers w WHERE "
            "w.name = a.worker AND w.host = a.host ORDER BY w.id DESC LIMIT 1) "
            "FROM attempts a JOIN jobs j ON j.id = a.job_id "
            "WHERE a.ended_at IS NULL AND j.state = 'running'");
        std::vector<OpenAttempt> attempts;
        while (query.executeStep()) {
            attempts.push_back({{id_in<JobId>(query, 0), query.getColumn(1).getInt64()},
                                query.getColumn(2).getString(),
                                query.getColumn(3).getString(),
                                query.getColumn(4).getInt64()});
        }
        return attempts;
    });
}

std::int64_t JobStore::unfinished_jobs() {
    commit();
    return file_.read([&](StoreDatabase& database) {
        return number_of(database, "SELECT count(*) FROM jobs WHERE state IN ('waiting', 'running')");
    });
}

std::int64_t JobStore::add_worker(const WorkerRecord& worker) {
    const std::int64_t row = ++last_worker_row_;
    change([worker, row, at = utc_now_text()](StoreDatabase& database) {
        execute(database,
                "INSERT OR REPLACE INTO workers (id, name, site, host, process_id, ranks, is_one_process, "
                "device_class, log_file, connected_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row, worker.name, worker.site, worker.host, worker.process_id, worker.ranks,
                worker.is_one_process ? 1 : 0, worker.device, worker.log_file, at);
    });
    return row;
}

std::vector<WorkerRecord> JobStore::present_workers() {
    commit();
    return file_.read([&](StoreDatabase& database) {
        SQLite::Statement query(database,
                                "SELECT id, name, host, process_id, ranks, device_class, log_file, "
                                "is_one_process, site FROM workers "
                                "WHERE left_at IS NULL");
        std::vector<WorkerRecord> workers;
        while (query.executeStep()) {
            workers.push_back({query.getColumn(0).getInt64(), query.getColumn(1).getString(),
                               query.getColumn(2).getString(), query.getColumn(3).getInt64(),
                               query.getColumn(4).getInt(), query.getColumn(5).getString(),
                               query.getColumn(6).getString(), query.getColumn(7).getInt() != 0,
                               query.getColumn(8).getString()});
        }
        return workers;
    });
}

std::int64_t JobStore::last_worker_number() {
    commit();
    return file_.read([&](StoreDatabase& database) {
        SQLite::Statement query(database, "SELECT name FROM workers");
        std::int64_t last = 0;
        while (query.executeStep()) {
            const std::string name = query.getColumn(0).getString();
            std::int64_t number = 0;
            const char* const end = name.data() + name.size();
            const char* const begin = name.data() + name.find_last_of('-') + 1;
            if (std::from_chars(begin, end, number).ptr == end && number < kMaxWorkerNumber) {
                last = std::max(last, number);
            }
        }
        return last;
    });
}

void JobStore::worker_left(std::int64_t worker_row, const std::string& why) {
    change([worker_row, why, at = utc_now_text()](StoreDatabase& database) {
        execute(database, "UPDATE workers SET left_at = ?, left_why = ? WHERE id = ?", at, why, worker_row);
    });
}

JobSpec JobStore::terms(JobId job) {
    return file_.read([&](StoreDatabase& database) {
        BoundStatement query(database, "SELECT config, paths FROM jobs WHERE id = ?", job);
        if (!query->executeStep()) {
            throw std::logic_error("there is no job " + to_string(job));
        }
        JobSpec terms;
        terms.config = config_texts_.read(query->getColumn(0).getString());
        Json::parse(query->getColumn(1).getString()).get_to(terms.paths);
        return terms;
    });
}

BegunAttempt JobStore::begin_attempt(JobId job, const WorkerRecord& worker,
                                     const std::filesystem::path& log_folder) {
    if (const Job* known = find_job(job);
        known == nullptr || !find_transition(known->state, JobEvent::begun)) {
        throw std::logic_error("job " + to_string(job) + " does not wait for an attempt");
    }
    AttemptRecord& record = record_of(job);
    const auto transition = jobs_.apply(job, JobEvent::begun);
    const std::int64_t number = ++record.last_attempt;
    record.replaced_from.reset();
    record.epochs_without_gap = 0;
    const std::string log_name = "job-" + to_string(job) + "-attempt-" + std::to_string(number) + ".log";
    BegunAttempt begun{{job, number}, (log_folder / log_name).string()};
    change([begun, worker, state = transition->to, at = utc_now_text()](StoreDatabase& database) {
        execute(database,
                "INSERT OR REPLACE INTO attempts (job_id, number, worker, host, device_class, ranks, "
                "started_at, log_file) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                begun.id.job, begun.id.number, worker.name, worker.host, worker.device, worker.ranks, at,
                begun.log_file);
        execute(database, "UPDATE jobs SET state = ? WHERE id = ?", to_string(state), begun.id.job);
    });
    return begun;
}

const JobFacts& JobStore::facts_of(JobId job, AttemptRecord& record) {
    if (!record.facts) {
        record.facts = file_.read([&](StoreDatabase& database) { return read_job_facts(database, job); });
    }
    return *record.facts;
}

std::optional<Refusal> JobStore::refusal_of(const AttemptEpoch& epoch) {
    AttemptRecord* record = record_if_current(epoch.attempt);
    return record == nullptr ? std::nullopt
                             : validate_for_job(epoch.metrics, facts_of(epoch.attempt.job, *record));
}

std::optional<Refusal> JobStore::refusal_of(const AttemptEnded& ended) {
    AttemptRecord* record = record_if_current(ended.attempt);
    return record == nullptr ? std::nullopt : validate_for_job(ended, facts_of(ended.attempt.job, *record));
}

bool JobStore::replaces_earlier(AttemptRecord& record, const AttemptId& attempt,
                                const EpochMetrics& metrics) {
    if (attempt.number == 1 || (record.replaced_from && *record.replaced_from <= metrics.epoch)) {
        return false;
    }
    record.replaced_from = metrics.epoch;
    return true;
}

bool JobStore::add_epoch(const AttemptId& attempt, const EpochMetrics& metrics, std::int64_t number) {
    AttemptRecord* record = record_if_current(attempt);
    if (record == nullptr) {
        return false;
    }
    if (number == record->epochs_without_gap + 1) {
        record->epochs_without_gap = number;
    }
    const bool replaces = replaces_earlier(*record, attempt, metrics);
    change([attempt, metrics, replaces](StoreDatabase& database) {
        if (replaces) {
            forget_later_epochs(database, attempt, metrics.epoch);
        }
        store_epoch(database, attempt, metrics);
    });
    return true;
}

std::int64_t JobStore::epochs_without_gap(const AttemptId& attempt) {
    const AttemptRecord* record = record_if_current(attempt);
    return record == nullptr ? 0 : record->epochs_without_gap;
}

std::vector<StoredCheckpoint>& JobStore::checkpoints_of(JobId job, AttemptRecord& record) {
    if (!record.checkpoints) {
        record.checkpoints = file_.read([&](StoreDatabase& database) {
            std::vector<StoredCheckpoint> found;
            if (record.last_attempt == 0) {
                return found;
            }
            BoundStatement query(
                database,
                "SELECT attempt, step, file, sha256, bytes FROM checkpoints WHERE job_id = ? "
                "ORDER BY attempt DESC, step DESC",
                job);
            while (query->executeStep()) {
                found.push_back({query->getColumn(0).getInt64(), query->getColumn(1).getInt64(),
                                 query->getColumn(2).getString(), query->getColumn(3).getString(),
                                 query->getColumn(4).getInt64()});
            }
            return found;
        });
    }
    return *record.checkpoints;
}

bool JobStore::add_checkpoint(const AttemptId& attempt, const StoredCheckpoint& checkpoint) {
    AttemptRecord* record = record_if_current(attempt);
    if (record == nullptr) {
        return false;
    }
    StoredCheckpoint added = checkpoint;
    added.attempt = attempt.number;
    auto& known = checkpoints_of(attempt.job, *record);
    std::erase_if(known, [&](const StoredCheckpoint& old) {
        return old.attempt == added.attempt && old.step == added.step;
    });
    known.push_back(added);
    std::sort(known.begin(), known.end(), is_better);
    const auto first_needless = known.begin() + std::min<std::ptrdiff_t>(kKeptCheckpoints, std::ssize(known));
    const std::vector<StoredCheckpoint> needless(first_needless, known.end());
    known.erase(first_needless, known.end());
    change([job = attempt.job, added, needless, at = utc_now_text()](StoreDatabase& database) {
        insert_checkpoint(database, job, added, at);
        for (const auto& old : needless) {
            execute(database, "DELETE FROM checkpoints WHERE job_id = ? AND attempt = ? AND step = ?", job,
                    old.attempt, old.step);
        }
    });
    return true;
}

std::vector<StoredCheckpoint> JobStore::checkpoints(JobId job) {
    return find_job(job) == nullptr ? std::vector<StoredCheckpoint>{} : checkpoints_of(job, record_of(job));
}

bool JobStore::resume_attempt(const AttemptId& attempt, const ResumePoint& point) {
    AttemptRecord* record = record_if_current(attempt);
    if (record == nullptr) {
        return false;
    }
    std::optional<StoredCheckpoint> unknown;
    if (!point.file.empty()) {
        auto& known = checkpoints_of(attempt.job, *record);
        const bool is_known = std::any_of(known.begin(), known.end(), [&](const StoredCheckpoint& stored) {
            return stored.attempt == point.attempt && stored.step == point.step;
        });
        if (!is_known) {
            unknown = {point.attempt, point.step, point.file, point.sha256, point.bytes};
            known.push_back(*unknown);
            std::sort(known.begin(), known.end(), is_better);
        }
    }
    change([attempt, point, unknown, at = utc_now_text()](StoreDatabase& database) {
        if (unknown) {
            insert_checkpoint(database, attempt.job, *unknown, at);
        }
        execute(database,
                "UPDATE attempts SET resumed_attempt = ?, resumed_step = ? WHERE job_id = ? AND number = ?",
                point.attempt, point.step, attempt.job, attempt.number);
        if (point.steps > 0) {  // a command tells by its reports where it goes on
            forget_epochs_after(database, attempt.job, point.epochs);
        }
    });
    return true;
}

std::vector<EpochMetrics> JobStore::epochs(JobId job) {
    commit();
    return file_.read([&](StoreDatabase& database) { return stored_epochs(database, job); });
}

std::optional<JobState> JobStore::promote(JobId job, std::int64_t pause_after_epoch) {
    if (find_job(job) == nullptr) {
        return std::nullopt;
    }
    jobs_.set_pause_after_epoch(job, pause_after_epoch);
    jobs_.apply(job, JobEvent::promoted);
    const JobState state = jobs_.at(job).state;
    change([job, pause_after_epoch, state](StoreDatabase& database) {
        execute(database,
                "UPDATE jobs SET resources = json_set(resources, '$.pause_after_epoch', ?), state = ?, "
                "finished_at = CASE WHEN ?2 = 'waiting' THEN NULL ELSE finished_at END WHERE id = ?",
                pause_after_epoch, to_string(state), job);
    });
    return state;
}

std::optional<JobTransition> JobStore::end_attempt(AttemptEnded ended, const RetryLimits& limits) {
    AttemptRecord* record = record_if_current(ended.attempt);
    if (record == nullptr || !is_of_job(ended, record->identity, file_)) {
        return std::nullopt;
    }
    // A study may have asked for more of it since the attempt began.
    const std::int64_t reached = ended.epochs.empty() ? 0 : ended.epochs.back().epoch;
    const Job& job = jobs_.at(ended.attempt.job);
    const std::int64_t wanted = job.resources.pause_after_epoch;
    const bool wanted_further = ended.cause == Cause::paused && (wanted == 0 || wanted > reached);
    const JobTransition transition =
        jobs_
            .apply(ended.attempt.job,
                   wanted_further ? JobEvent::preempted : event_of(ended.cause, job.failures, limits))
            .value();
    const bool succeeded = transition.to == JobState::succeeded;
    const bool had_checkpoints = !record->checkpoints || !record->checkpoints->empty();
    if (succeeded) {
        record->checkpoints.emplace();
    }
    if (is_over(transition.to)) {
        over_.push_back(ended.attempt.job);
    }
    std::optional<std::int64_t> replaced_from;
    for (const auto& metrics : ended.epochs) {
        if (replaces_earlier(*record, ended.attempt, metrics)) {
            replaced_from = record->replaced_from;
        }
    }
    const EndedRows rows{
        ended.attempt, ended.cause,  ended.message,  succeeded ? ended.result.value().device_class : "",
        transition.to, job.failures, utc_now_text(), ended.seconds};
    const auto shared = std::make_shared<const AttemptEnded>(std::move(ended));
    PendingChange pending;
    pending.apply = [shared, rows, succeeded, had_checkpoints, replaced_from](StoreDatabase& database) {
        write_end(database, rows);
        if (replaced_from) {
            forget_later_epochs(database, shared->attempt, *replaced_from);
        }
        for (const auto& metrics : shared->epochs) {
            store_epoch(database, shared->attempt, metrics);
        }
        if (succeeded) {
            store_result(database, shared->attempt, shared->result.value());
            if (had_checkpoints) {
                execute(database, "DELETE FROM checkpoints WHERE job_id = ?", shared->attempt.job);
            }
        }
    };
    pending.otherwise = [rows = without_result(rows)](StoreDatabase& database) { write_end(database, rows); };
    if (succeeded) {
        pending.ended = shared->attempt;
    }
    change(std::move(pending));
    return transition;
}

bool JobStore::ask_again(JobId job) {
    const Job* known = find_job(job);
    if (known == nullptr || !is_over_without_result(known->state)) {
        return false;
    }
    const JobTransition transition = jobs_.apply(job, JobEvent::asked_for).value();
    change([job, state = transition.to](StoreDatabase& database) {
        execute(
            database,
            "UPDATE jobs SET state = ?, failures = 0, cancelled_by_user = 0, finished_at = NULL WHERE id = ?",
            to_string(state), job);
    });
    return true;
}

void JobStore::check_readable() {
    file_.read(
        [](StoreDatabase& database) { return number_of(database, "SELECT EXISTS (SELECT 1 FROM jobs)"); });
}

bool JobStore::has_succeeded(JobId job) {
    const Job* known = find_job(job);
    return known != nullptr && known->state == JobState::succeeded;
}

}  // namespace orchestrate
