// What a message may hold: the one place where ranges, names and sizes are checked, before anything is decided from it or
// stored. Pure and thread-safe. What depends on the job or on the sender is checked where these are known: JobStore::refusal_of,
// Dispatcher.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/protocol/message_codec.h"

namespace orchestrate {

inline constexpr int kMaxRanks = 65'536;          // of one worker; also slots of one pilot
inline constexpr int kMaxLeaseCapacity = 65'536;  // attempts that one worker holds at a time
inline constexpr std::size_t kMaxNameBytes = 128;
inline constexpr std::size_t kMaxPathBytes = 4096;
inline constexpr std::size_t kMaxMessageBytes = 16'384;  // of words about an attempt
inline constexpr std::size_t kMaxLineBytes = 1024;       // of words that users see as one line
inline constexpr std::size_t kMaxMetrics = 10'000;       // in one message
inline constexpr std::size_t kMaxMetricNameBytes = 1024;
inline constexpr std::int64_t kMaxCount = std::int64_t{1} << 62;  // of steps, epochs, bytes

// Nothing: every field is in its range. The decoder calls these for each message that it reads, so that a message without its
// validate() does not compile. A Hello of another protocol version is valid: it will be refused for its version.
std::optional<Refusal> validate(const Hello& message);
std::optional<Refusal> validate(const Welcome& message);
std::optional<Refusal> validate(const Refused& message);

std::optional<Refusal> validate(const Heartbeat& message);
std::optional<Refusal> validate(const AttemptProgress& message);
std::optional<Refusal> validate(const AttemptEpoch& message);
std::optional<Refusal> validate(const AttemptResumed& message);
std::optional<Refusal> validate(const CheckpointWritten& message);
std::optional<Refusal> validate(const AttemptEnded& message);
std::optional<Refusal> validate(const Goodbye& message);
std::optional<Refusal> validate(const WorkerNote& message);
std::optional<Refusal> validate(const UploadOffer& message);
std::optional<Refusal> validate(const UploadChunk& message);
std::optional<Refusal> validate(const CheckpointRequest& message);

std::optional<Refusal> validate(const Lease& message);
std::optional<Refusal> validate(const EpochsStored& message);
std::optional<Refusal> validate(const Acknowledged& message);
std::optional<Refusal> validate(const StopAttempt& message);
std::optional<Refusal> validate(const RetractLeases& message);
std::optional<Refusal> validate(const Retire& message);
std::optional<Refusal> validate(const UploadProgress& message);
std::optional<Refusal> validate(const CheckpointChunk& message);

std::optional<Refusal> validate(const WorkerExited& message);
std::optional<Refusal> validate(const StartWorker& message);
std::optional<Refusal> validate(const StopWorker& message);

std::optional<Refusal> validate(const StatusRequest& message);
std::optional<Refusal> validate(const SubmitStudy& message);
std::optional<Refusal> validate(const ControlRequest& message);
std::optional<Refusal> validate(const JobsRequest& message);
std::optional<Refusal> validate(const JobRequest& message);
std::optional<Refusal> validate(const WhyRequest& message);
std::optional<Refusal> validate(const TableRequest& message);
std::optional<Refusal> validate(const LogRequest& message);

std::optional<Refusal> validate(const StudyAccepted& message);
std::optional<Refusal> validate(const StatusReply& message);
std::optional<Refusal> validate(const JobsReply& message);
std::optional<Refusal> validate(const JobReply& message);
std::optional<Refusal> validate(const LogReply& message);
std::optional<Refusal> validate(const TextReply& message);

// Parts of messages.
std::optional<Refusal> validate(const EpochMetrics& metrics);
std::optional<Refusal> validate(const AttemptResult& result);

// What becomes of an attempt whose result was kept on disk and is not valid: its end, with the refusal in words. Not valid
// itself if that was in the name of the attempt.
AttemptEnded end_by_refusal(const InvalidMessage& result);

// A name of a worker or a pilot: UTF-8 of 1 to kMaxNameBytes bytes that can be a part of a file's name.
bool is_valid_name(std::string_view name);

bool is_sha256(std::string_view text);

enum class Lines { one, several };

// A peer's words as they may be stored and shown: UTF-8 without control characters (with Lines::several line feeds and
// tabs are kept), at most `max_bytes` long. What is replaced or cut off shows as U+FFFD or "...".
std::string cleaned(std::string_view text, std::size_t max_bytes, Lines lines);

}  // namespace orchestrate
