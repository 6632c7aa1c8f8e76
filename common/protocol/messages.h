// All messages between the coordinator and those who connect to it, and how they are encoded.
#pragma once

#include "common/protocol/client_messages.h"
#include "common/protocol/connection_messages.h"
#include "common/protocol/message_codec.h"
#include "common/protocol/pilot_messages.h"
#include "common/protocol/worker_messages.h"

namespace orchestrate {

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

std::vector<std::uint8_t> encode_frame(const Message& message);

std::size_t max_body_bytes(Role sender, std::string_view type);

// The body of a frame, without its length prefix. Memory: see MessageReader. Throws ProtocolError.
Message decode_body(std::span<const std::uint8_t> body);

}  // namespace orchestrate
