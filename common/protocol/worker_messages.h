// The messages between the coordinator and a worker, after the handshake of connection_messages.h. Messages about an attempt
// count only while the worker holds its lease.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <boost/describe.hpp>
#include <boost/mp11.hpp>

#include "common/base/json.h"
#include "common/job/attempt.h"
#include "common/job/checkpoint.h"
#include "common/job/ids.h"
#include "common/job/job_config.h"
#include "common/protocol/connection_messages.h"

namespace orchestrate {

// Coordinator to worker: train this.
struct Lease {
    static constexpr const char* kType = "lease";
    AttemptId attempt;
    JobConfig config;
    JobPaths paths;
    JobResources resources;
    std::string log_file;
    CheckpointPlan checkpoints;
    std::string models_folder = "";  // where trained models are saved, absolute
};
BOOST_DESCRIBE_STRUCT(Lease, (), (attempt, config, paths, resources, log_file, checkpoints, models_folder))

struct AttemptProgress {
    static constexpr const char* kType = "attempt_progress";
    static constexpr bool kNextReplacesIt = true;  // while it waits to be sent
    AttemptId attempt;
    TrainingProgress progress;
};
BOOST_DESCRIBE_STRUCT(AttemptProgress, (), (attempt, progress))

struct AttemptEpoch {
    static constexpr const char* kType = "attempt_epoch";
    AttemptId attempt;
    EpochMetrics metrics;
    std::int64_t number = 0;  // of this report among those of the attempt, from 1; 0: not told
};
BOOST_DESCRIBE_STRUCT(AttemptEpoch, (), (attempt, metrics, number))

// Coordinator to worker: the attempt's first `number` epochs are on disk. AttemptEnded need not repeat them.
struct EpochsStored {
    static constexpr const char* kType = "epochs_stored";
    AttemptId attempt;
    std::int64_t number = 0;
};
BOOST_DESCRIBE_STRUCT(EpochsStored, (), (attempt, number))

// The attempt does not begin at the first step. Epochs before that step are reported again.
struct AttemptResumed {
    static constexpr const char* kType = "attempt_resumed";
    AttemptId attempt;
    ResumePoint point;
};
BOOST_DESCRIBE_STRUCT(AttemptResumed, (), (attempt, point))

struct CheckpointWritten {
    static constexpr const char* kType = "checkpoint_written";
    AttemptId attempt;
    StoredCheckpoint checkpoint;
};
BOOST_DESCRIBE_STRUCT(CheckpointWritten, (), (attempt, checkpoint))

struct AttemptEnded {
    static constexpr const char* kType = "attempt_ended";
    AttemptId attempt;
    Cause cause = Cause::succeeded;
    std::string message;
    std::optional<AttemptResult> result;  // with cause succeeded
    std::string job_identity = "";        // of the job that was trained; empty: not told
    // With a result or a pause, should their messages be lost: those that are not known to be stored, and the last.
    std::vector<EpochMetrics> epochs = {};
    // How long it ran, by a clock that only runs forward, of the worker or else of the coordinator; none: unknown.
    std::optional<double> seconds = std::nullopt;
    bool asks_again = false;  // preempted by nobody: its command wants to be started again
};
BOOST_DESCRIBE_STRUCT(AttemptEnded, (),
                      (attempt, cause, message, result, job_identity, epochs, seconds, asks_again))

// Coordinator to worker, after the commit that holds AttemptEnded, or because the attempt is no longer
// current.
struct Acknowledged {
    static constexpr const char* kType = "acknowledged";
    AttemptId attempt;
    bool stale = false;  // it changed nothing: another attempt has taken over
};
BOOST_DESCRIBE_STRUCT(Acknowledged, (), (attempt, stale))

struct StopAttempt {
    static constexpr const char* kType = "stop_attempt";
    AttemptId attempt;
};
BOOST_DESCRIBE_STRUCT(StopAttempt, (), (attempt))

// Coordinator to worker: give back those of these attempts that have not begun. Each ends as `preempted`; for those that
// have begun there is no answer.
struct RetractLeases {
    static constexpr const char* kType = "retract_leases";
    std::vector<AttemptId> attempts;
};
BOOST_DESCRIBE_STRUCT(RetractLeases, (), (attempts))

// Files on their way from a worker that does not see the folders of checkpoints and models: an upload is one checkpoint
// or one model. The worker offers it; the coordinator answers how far it has it, at once and after each chunk; the
// worker sends on from there, a few chunks ahead. After a broken connection it offers the upload again.
enum class UploadKind { checkpoint, model };
BOOST_DESCRIBE_ENUM(UploadKind, checkpoint, model)

inline constexpr std::size_t kUploadChunkBytes = 256U << 10;

struct Upload {
    AttemptId attempt;
    UploadKind kind = UploadKind::checkpoint;
    std::string name;  // of the checkpoint's file; or the model's SHA-256
    bool operator==(const Upload&) const = default;
};
BOOST_DESCRIBE_STRUCT(Upload, (), (attempt, kind, name))

struct UploadFile {
    std::string name;
    std::int64_t bytes = 0;
    bool operator==(const UploadFile&) const = default;
};
BOOST_DESCRIBE_STRUCT(UploadFile, (), (name, bytes))

struct UploadOffer {
    static constexpr const char* kType = "upload_offer";
    Upload upload;
    std::vector<UploadFile> files;
};
BOOST_DESCRIBE_STRUCT(UploadOffer, (), (upload, files))

struct UploadChunk {
    static constexpr const char* kType = "upload_chunk";
    Upload upload;
    std::int64_t file = 0;    // index into UploadOffer::files
    std::int64_t offset = 0;  // in that file
    Bytes bytes;
    std::string sha256;  // of the whole file, with its last chunk
};
BOOST_DESCRIBE_STRUCT(UploadChunk, (), (upload, file, offset, bytes, sha256))

// Coordinator to worker. Everything before `offset` of `file` is there.
struct UploadProgress {
    static constexpr const char* kType = "upload_progress";
    Upload upload;
    std::int64_t file = 0;
    std::int64_t offset = 0;
    bool stored = false;  // all of it is on disk
    std::string folder;   // where, if it is stored
    std::string refused;  // why it is not taken; empty: it is
};
BOOST_DESCRIBE_STRUCT(UploadProgress, (), (upload, file, offset, stored, folder, refused))

// Worker to coordinator: a piece of a checkpoint that this attempt may go on from.
struct CheckpointRequest {
    static constexpr const char* kType = "checkpoint_request";
    AttemptId attempt;
    StoredCheckpoint checkpoint;  // as the lease names it
    std::int64_t offset = 0;
};
BOOST_DESCRIBE_STRUCT(CheckpointRequest, (), (attempt, checkpoint, offset))

struct CheckpointChunk {
    static constexpr const char* kType = "checkpoint_chunk";
    AttemptId attempt;
    std::string file;  // as requested
    std::int64_t offset = 0;
    Bytes bytes;
    std::int64_t total_bytes = 0;
    std::string refused;  // why there is none; empty: there is
};
BOOST_DESCRIBE_STRUCT(CheckpointChunk, (), (attempt, file, offset, bytes, total_bytes, refused))

// Coordinator to worker: end, there is nothing more for your width.
struct Retire {
    static constexpr const char* kType = "retire";
};
BOOST_DESCRIBE_STRUCT(Retire, (), ())

// Worker to coordinator: what the user who runs the study should see, in one line.
struct WorkerNote {
    static constexpr const char* kType = "worker_note";
    std::string text;
};
BOOST_DESCRIBE_STRUCT(WorkerNote, (), (text))

// What a worker reports about an attempt that it runs; AttemptEnded is the last.
using AttemptReport =
    std::variant<AttemptProgress, AttemptEpoch, AttemptResumed, CheckpointWritten, AttemptEnded>;
// What a worker tells about itself and its attempts.
using WorkerReport = boost::mp11::mp_append<AttemptReport, std::variant<Heartbeat, Goodbye, WorkerNote>>;
// Files to and from a worker that does not see the coordinator's directories, and the answers.
using TransferRequest = std::variant<UploadOffer, UploadChunk, CheckpointRequest>;
using TransferReply = std::variant<UploadProgress, CheckpointChunk>;

// What a worker keeps on disk until it is acknowledged: see result_spool.h.
using SpooledMessage = std::variant<AttemptEnded>;

using WorkerToCoordinator = boost::mp11::mp_append<WorkerReport, TransferRequest>;
// What the coordinator wants of a worker, or has done for it.
using WorkerOrder =
    std::variant<Heartbeat, Lease, EpochsStored, Acknowledged, StopAttempt, RetractLeases, Retire>;
using CoordinatorToWorker = boost::mp11::mp_append<WorkerOrder, TransferReply>;

}  // namespace orchestrate
