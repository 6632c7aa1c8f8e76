// What users' commands ask a coordinator, and its answers, after the handshake of connection_messages.h. Only a connection
// with a user's token may send these. Each request has one
// answer, in order: the one that is named beside it, or Refused. An answer that says something was done leaves
// after the commit that holds it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <boost/describe.hpp>

#include "common/base/json.h"
#include "common/job/attempt.h"
#include "common/job/ids.h"
#include "common/protocol/connection_messages.h"

namespace orchestrate {

// Run this study: checked by who sends it, and again by the coordinator. The answer is StudyAccepted.
struct SubmitStudy {
    static constexpr const char* kType = "submit_study";
    std::string
        file;  // absolute path that it was read from; relative paths in the text are relative to its folder
    std::string toml;  // its text; with included files, variables and overrides in their places if it has any
};
BOOST_DESCRIBE_STRUCT(SubmitStudy, (), (file, toml))

struct StudyAccepted {
    static constexpr const char* kType = "study_accepted";
    std::string study;
    bool known = false;   // it is the same text as one that runs already
    bool ending = false;  // not accepted: the coordinator is about to end; try again
};
BOOST_DESCRIBE_STRUCT(StudyAccepted, (), (study, known, ending))

// How everything stands. The answer is StatusReply.
struct StatusRequest {
    static constexpr const char* kType = "status_request";
    std::int64_t events_after = -1;  // the number of the last event that is known; -1: the newest few
};
BOOST_DESCRIBE_STRUCT(StatusRequest, (), (events_after))

struct WorkerStatus {
    std::string name;
    std::string host;
    int ranks = 1;
    std::string state;      // "idle", "busy", "away"
    bool draining = false;  // gets no more jobs
    JobId job;              // 0: none
    std::string job_title;  // "without energy, seed 2"
    TrainingProgress progress;
};
BOOST_DESCRIBE_STRUCT(WorkerStatus, (), (name, host, ranks, state, draining, job, job_title, progress))

struct StudyStatus {
    std::string study;
    std::string state;  // "running", "paused", or how it has ended
    std::string stage;  // the one that runs, or the last
    // Jobs of that stage.
    std::int64_t jobs = 0;
    std::int64_t succeeded = 0;
    std::int64_t failed = 0;  // and quarantined ones
    std::int64_t cancelled = 0;
    std::int64_t running = 0;
    double elapsed_seconds = 0;
    std::optional<double> remaining_seconds;
};
BOOST_DESCRIBE_STRUCT(StudyStatus, (),
                      (study, state, stage, jobs, succeeded, failed, cancelled, running, elapsed_seconds,
                       remaining_seconds))

// Something that was told to the user who runs the coordinator.
struct Event {
    std::int64_t number = 0;  // 1, 2, ... in this coordinator
    std::string at;           // UTC
    std::string study;        // that it is about; empty: all
    std::string text;
};
BOOST_DESCRIBE_STRUCT(Event, (), (number, at, study, text))

struct StatusReply {
    static constexpr const char* kType = "status_reply";
    static constexpr bool kNextReplacesIt = true;  // while it waits to be sent
    std::string program_version;
    std::string host;
    std::int64_t process_id = 0;
    std::string database;              // absolute path on that host
    bool ending = false;               // no study is accepted any more, and soon nobody answers
    std::string paused;                // why nothing is dispatched; empty: it is
    std::int64_t waiting = 0;          // jobs that wait, of all studies
    std::vector<StudyStatus> studies;  // in the order in which they came
    std::vector<WorkerStatus> workers;
    std::vector<Event> events;
    // How long the coordinator's loop was held at most so far, and by what.
    std::int64_t longest_hold_milliseconds = 0;
    std::string longest_hold_by;
    std::int64_t database_instructions =
        0;  // that the loop's connection to the database has run, in SQLite's count
};
BOOST_DESCRIBE_STRUCT(StatusReply, (),
                      (program_version, host, process_id, database, ending, paused, waiting, studies, workers,
                       events, longest_hold_milliseconds, longest_hold_by, database_instructions))

enum class Control {
    cancel,  // a job, or a study with all its jobs that no other study needs
    retry,   // a job that ended without a result, or all such jobs of a study
    pause,   // a study: nothing new of it begins
    resume,  // a study that is paused, or was interrupted
    drain,   // a worker: it gets no more jobs, and its slots stay empty
};
BOOST_DESCRIBE_ENUM(Control, cancel, retry, pause, resume, drain)

struct ControlRequest {
    static constexpr const char* kType = "control_request";
    Control control = Control::cancel;
    std::string target;  // a job's number or the first characters of its identity; a study; a worker
};
BOOST_DESCRIBE_STRUCT(ControlRequest, (), (control, target))

// Jobs of a study. The answer is JobsReply.
struct JobsRequest {
    static constexpr const char* kType = "jobs_request";
    std::string study;                // empty: of all
    std::vector<std::string> states;  // empty: in any
    std::int64_t limit = 0;           // 0: all
};
BOOST_DESCRIBE_STRUCT(JobsRequest, (), (study, states, limit))

struct JobRow {
    JobId job;
    std::string identity;
    std::string study;
    std::string stage;
    std::string title;  // "without energy, seed 2"
    std::string state;
    std::int64_t attempts = 0;
    std::string cause;   // of the newest attempt; empty: it runs, or there is none
    std::string worker;  // of the newest attempt
    std::optional<double> seconds;
    std::optional<double> accuracy;  // of the test part, fractions
    std::optional<double> macro_f1;
    std::string metric;           // the primary metric of its stage
    std::optional<double> value;  // of that metric, of the test part
    MetricUnit unit = MetricUnit::number;
};
BOOST_DESCRIBE_STRUCT(JobRow, (),
                      (job, identity, study, stage, title, state, attempts, cause, worker, seconds, accuracy,
                       macro_f1, metric, value, unit))

struct JobsReply {
    static constexpr const char* kType = "jobs_reply";
    std::vector<JobRow> jobs;
    std::int64_t left_out = 0;  // beyond the limit
    std::optional<double> age_seconds =
        {};  // of the snapshot that was read; nothing: the database itself was
};
BOOST_DESCRIBE_STRUCT(JobsReply, (), (jobs, left_out, age_seconds))

// All about a job. The answer is JobReply.
struct JobRequest {
    static constexpr const char* kType = "job_request";
    std::string job;  // its number, or the first characters of its identity
};
BOOST_DESCRIBE_STRUCT(JobRequest, (), (job))

struct AttemptDetails {
    std::int64_t number = 0;
    std::string worker;
    std::string host;
    std::string device_class;
    std::int64_t ranks = 1;
    std::string started_at;  // UTC
    std::string ended_at;    // empty: it runs
    std::optional<double> seconds;
    std::string cause;
    std::string message;
    std::string log_file;  // on `host`
    std::optional<std::int64_t> resumed_attempt;
    std::optional<std::int64_t> resumed_step;
};
BOOST_DESCRIBE_STRUCT(AttemptDetails, (),
                      (number, worker, host, device_class, ranks, started_at, ended_at, seconds, cause,
                       message, log_file, resumed_attempt, resumed_step))

// A field of the configuration in which a job and its baseline differ; JSON, "null" where there is no such field.
struct FieldDifference {
    std::string field;
    std::string baseline;
    std::string job;
};
BOOST_DESCRIBE_STRUCT(FieldDifference, (), (field, baseline, job))

struct JobDetails {
    JobRow row;                        // of the first variant that has the job
    std::vector<std::string> used_by;  // "study / stage / variant", all of them
    std::string change;                // what the variant says that it changes
    std::vector<FieldDifference> differences;
    std::vector<AttemptDetails> attempts;
    std::vector<MetricValue> metrics;  // of the selected epoch
    std::int64_t failures = 0;
    std::string created_at;
    std::string finished_at;
};
BOOST_DESCRIBE_STRUCT(JobDetails, (),
                      (row, used_by, change, differences, attempts, metrics, failures, created_at,
                       finished_at))

struct JobReply {
    static constexpr const char* kType = "job_reply";
    JobDetails job;
    std::optional<double> age_seconds =
        {};  // of the snapshot that was read; nothing: the database itself was
};
BOOST_DESCRIBE_STRUCT(JobReply, (), (job, age_seconds))

// Why a job does not run, or what became of it. The answer is TextReply.
struct WhyRequest {
    static constexpr const char* kType = "why_request";
    std::string job;
};
BOOST_DESCRIBE_STRUCT(WhyRequest, (), (job))

// The comparison table of a study. The answer is TextReply.
struct TableRequest {
    static constexpr const char* kType = "table_request";
    std::string study;                      // empty: the newest
    std::string stage;                      // empty: the last
    std::int64_t width = 0;                 // of the terminal; 0: none
    std::string format = "table";           // or "json", "csv"
    std::vector<std::string> metrics = {};  // its columns; empty: those of the stage's table
};
BOOST_DESCRIBE_STRUCT(TableRequest, (), (study, stage, width, format, metrics))

// A piece of a log that lies where the coordinator sees it. The answer is LogReply.
struct LogRequest {
    static constexpr const char* kType = "log_request";
    std::string job;
    std::int64_t attempt = 0;  // 0: the newest
    std::int64_t offset = 0;   // in bytes
};
BOOST_DESCRIBE_STRUCT(LogRequest, (), (job, attempt, offset))

inline constexpr std::int64_t kMaximumLogBytes = 1 << 20;  // in one answer

struct LogReply {
    static constexpr const char* kType = "log_reply";
    std::int64_t attempt = 0;
    std::string worker;
    std::string host;
    std::string file;
    std::string cause;  // why the attempt has ended; empty: it runs
    bool over = false;  // the job gets no further attempt by itself
    Bytes bytes;
    std::optional<double> age_seconds =
        {};  // of the snapshot that was read; nothing: the database itself was
};
BOOST_DESCRIBE_STRUCT(LogReply, (), (attempt, worker, host, file, cause, over, bytes, age_seconds))

struct TextReply {
    static constexpr const char* kType = "text_reply";
    std::string text;  // what was done, or what was asked for
    std::optional<double> age_seconds =
        {};  // of the snapshot that was read; nothing: the database itself was
};
BOOST_DESCRIBE_STRUCT(TextReply, (), (text, age_seconds))

using ClientRequest = std::variant<StatusRequest, SubmitStudy, ControlRequest, JobsRequest, JobRequest,
                                   WhyRequest, TableRequest, LogRequest>;
using ClientReply =
    std::variant<StatusReply, StudyAccepted, JobsReply, JobReply, TextReply, LogReply, Refused>;

}  // namespace orchestrate
