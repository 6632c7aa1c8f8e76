// The messages between the coordinator and those who connect to it: workers, pilots and people's commands. A
// frame is a 4-byte big-endian length and MessagePack of [type, fields]. Within a protocol version fields and messages
// may be added: a missing field keeps its default, a field or message that is not known is ignored. Anything else raises
// kProtocolVersion; peers from kOldestProtocolVersion on are still understood, others are told so and leave.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <boost/describe.hpp>

#include "common/job/attempt.h"
#include "common/job/checkpoint.h"
#include "common/job/ids.h"
#include "common/job/job_config.h"
#include "common/protocol/control_messages.h"

namespace orchestrate {

inline constexpr int kProtocolVersion = 2;
inline constexpr int kOldestProtocolVersion = 2;
inline constexpr std::size_t kMaximumFrameBytes = 256U << 20;
inline constexpr std::size_t kMaximumHelloBytes = 64U << 10;  // before anybody has said who they are

enum class Role { worker, pilot, person };
BOOST_DESCRIBE_ENUM(Role, worker, pilot, person)

// First message of every connection.
struct Hello {
    static constexpr const char* kType = "hello";
    int protocol_version = kProtocolVersion;
    std::string program_version;
    Role role = Role::person;
    std::string token;
    std::string name;
    std::string host;
    std::int64_t process_id = 0;
    int ranks = 1;                     // worker: its width
    int slots = 0;                     // pilot: ranks it can hold at a time
    std::string device;                // worker: "cpu" or "cuda"
    std::string log_folder;            // worker: where it writes logs
    std::optional<AttemptId> running;  // worker: what it holds, after a broken connection
    // worker: how many attempts it holds at a time, the one that runs among them; it begins them in order
    int lease_capacity = 1;
    // worker: all that it holds after a broken connection, in order: results that wait for an acknowledgement, what runs,
    // what is to begin
    std::vector<AttemptId> held;
    bool runs_commands =
        false;  // worker: command jobs too; one that does not know of them would train something else
    std::string database_id;  // of the database that the access file is for; empty: an older release
};
BOOST_DESCRIBE_STRUCT(Hello, (),
                      (protocol_version, program_version, role, token, name, host, process_id, ranks, slots,
                       device, log_folder, running, lease_capacity, held, runs_commands, database_id))

struct Welcome {
    static constexpr const char* kType = "welcome";
    std::string program_version;
    std::int64_t heartbeat_interval_milliseconds = 4000;
    bool running_is_current = false;  // whether Hello::running still holds its lease; otherwise stop it
    std::vector<AttemptId> current;   // those of Hello::held that hold their leases; the others are dropped
    std::string database_id;          // to users: of the coordinator's database; empty: an older release
};
BOOST_DESCRIBE_STRUCT(Welcome, (),
                      (program_version, heartbeat_interval_milliseconds, running_is_current, current,
                       database_id))

struct Refused {
    static constexpr const char* kType = "refused";
    std::string reason;  // for people
};
BOOST_DESCRIBE_STRUCT(Refused, (), (reason))

// A worker's says how far its attempt is; the coordinator's and a pilot's are empty.
struct Heartbeat {
    static constexpr const char* kType = "heartbeat";
    std::int64_t step = 0;      // optimiser steps done, as last reported
    std::int64_t advances = 0;  // grows whenever the attempt gets on: see AttemptObserver::on_advance
};
BOOST_DESCRIBE_STRUCT(Heartbeat, (), (step, advances))

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
struct HandBack {
    static constexpr const char* kType = "hand_back";
    std::vector<AttemptId> attempts;
};
BOOST_DESCRIBE_STRUCT(HandBack, (), (attempts))

// Files on their way from a worker that does not see the folders of checkpoints and models: a parcel is one checkpoint
// or one model. The worker offers it; the coordinator answers how far it has it, at once and after each chunk; the
// worker sends on from there, a few chunks ahead. After a broken connection it offers the parcel again.
enum class ParcelKind { checkpoint, model };
BOOST_DESCRIBE_ENUM(ParcelKind, checkpoint, model)

inline constexpr std::size_t kParcelChunkBytes = 256U << 10;

struct Parcel {
    AttemptId attempt;
    ParcelKind kind = ParcelKind::checkpoint;
    std::string name;  // of the checkpoint's file; or the model's SHA-256
    bool operator==(const Parcel&) const = default;
};
BOOST_DESCRIBE_STRUCT(Parcel, (), (attempt, kind, name))

struct ParcelFile {
    std::string name;
    std::int64_t bytes = 0;
    bool operator==(const ParcelFile&) const = default;
};
BOOST_DESCRIBE_STRUCT(ParcelFile, (), (name, bytes))

struct ParcelOffer {
    static constexpr const char* kType = "parcel_offer";
    Parcel parcel;
    std::vector<ParcelFile> files;
};
BOOST_DESCRIBE_STRUCT(ParcelOffer, (), (parcel, files))

struct ParcelChunk {
    static constexpr const char* kType = "parcel_chunk";
    Parcel parcel;
    std::int64_t file = 0;    // index into ParcelOffer::files
    std::int64_t offset = 0;  // in that file
    Bytes bytes;
    std::string sha256;  // of the whole file, with its last chunk
};
BOOST_DESCRIBE_STRUCT(ParcelChunk, (), (parcel, file, offset, bytes, sha256))

// Coordinator to worker. Everything before `offset` of `file` is there.
struct ParcelProgress {
    static constexpr const char* kType = "parcel_progress";
    Parcel parcel;
    std::int64_t file = 0;
    std::int64_t offset = 0;
    bool stored = false;  // all of it is on disk
    std::string folder;   // where, if it is stored
    std::string refused;  // why it is not taken; empty: it is
};
BOOST_DESCRIBE_STRUCT(ParcelProgress, (), (parcel, file, offset, stored, folder, refused))

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

// Worker to coordinator: leaving on purpose.
struct Goodbye {
    static constexpr const char* kType = "goodbye";
    std::string reason;
};
BOOST_DESCRIBE_STRUCT(Goodbye, (), (reason))

// Worker to coordinator: what the person who runs the study should see, in one line.
struct WorkerNote {
    static constexpr const char* kType = "worker_note";
    std::string text;
};
BOOST_DESCRIBE_STRUCT(WorkerNote, (), (text))

// Coordinator to pilot.
struct StartWorker {
    static constexpr const char* kType = "start_worker";
    std::string name;
    int ranks = 1;
};
BOOST_DESCRIBE_STRUCT(StartWorker, (), (name, ranks))

struct StopWorker {
    static constexpr const char* kType = "stop_worker";
    std::string name;
    std::int64_t grace_milliseconds = 0;
};
BOOST_DESCRIBE_STRUCT(StopWorker, (), (name, grace_milliseconds))

// Pilot to coordinator.
struct WorkerExited {
    static constexpr const char* kType = "worker_exited";
    std::string name;
    int exit_code = 0;
    int signal = 0;
    std::string error;  // set if it could not be started at all
    std::string step_state =
        {};  // Slurm's word if Slurm ended its step, unasked: "CANCELLED", "TIMEOUT"; else empty
};
BOOST_DESCRIBE_STRUCT(WorkerExited, (), (name, exit_code, signal, error, step_state))

// A message of a newer release. Whoever gets it goes on as if it had not come.
struct UnknownMessage {
    static constexpr const char* kType = "";
    std::string type;
};
BOOST_DESCRIBE_STRUCT(UnknownMessage, (), (type))

using Message =
    std::variant<Hello, Welcome, Refused, Heartbeat, Lease, AttemptProgress, AttemptEpoch, AttemptResumed,
                 CheckpointWritten, AttemptEnded, Acknowledged, StopAttempt, HandBack, Retire, Goodbye,
                 WorkerNote, StartWorker, StopWorker, WorkerExited, StatusRequest, StatusReply, ParcelOffer,
                 ParcelChunk, ParcelProgress, CheckpointRequest, CheckpointChunk, SubmitStudy, StudyAccepted,
                 ControlRequest, JobsRequest, JobsReply, JobRequest, JobReply, WhyRequest, TableRequest,
                 LogRequest, LogReply, TextReply, EpochsStored, UnknownMessage>;

// Thrown for a frame that is no valid message.
class ProtocolError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// Length prefix and body. Throws ProtocolError if it would exceed kMaximumFrameBytes.
std::vector<std::uint8_t> encode_frame(const Message& message);

// The length of the body that a frame's first 4 bytes announce. Throws ProtocolError if it is more than `most`.
std::size_t body_size(std::span<const std::uint8_t, 4> prefix, std::size_t most = kMaximumFrameBytes);

// The most bytes that the body of a message may have, by who sends it to the coordinator. A type that is not known here
// may be one of a newer release.
std::size_t max_body_bytes(Role sender, std::string_view type);

inline constexpr std::size_t kMaximumTypeBytes = 64;
inline constexpr std::size_t kPeekedBytes = kMaximumTypeBytes + 6;

// The type of the message whose body begins so; empty if it has none. Nothing: more bytes are needed, kPeekedBytes or the
// whole body.
std::optional<std::string> peek_type(std::span<const std::uint8_t> beginning);

// The body of a frame, without its length prefix. Memory: see MessageReader. Throws ProtocolError.
Message decode_body(std::span<const std::uint8_t> body);

}  // namespace orchestrate
