// Why a frame is not taken.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "common/job/ids.h"

namespace orchestrate {

// Why a message, or what it reports, is refused. `what` is the field as the message names it, `why` what was found and what
// is expected.
struct Refusal {
    std::string what;
    std::string why;
    std::string text() const { return what + " " + why; }
    bool operator==(const Refusal&) const = default;
};

// A frame that is not a valid message. Unless it is one of the two below, the connection is of no further use.
class ProtocolError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// A well-formed frame of a type that the peer may not send in this direction, or that this program does not know. The frame
// was read completely.
class UnexpectedMessage : public ProtocolError {
  public:
    explicit UnexpectedMessage(std::string type)
        : ProtocolError("a message of type '" + type + "' is not expected here"), type_(std::move(type)) {}
    const std::string& type() const { return type_; }  // printable, one line

  private:
    std::string type_;
};

// A message of a type that is expected, with a field whose value is not valid. The frame was read completely.
class InvalidMessage : public ProtocolError {
  public:
    // `attempt`: which the message is about. `job_identity`: of the job whose end it reports; empty: none.
    InvalidMessage(std::string type, std::optional<AttemptId> attempt, std::string job_identity,
                   Refusal refusal)
        : ProtocolError("the message '" + type + "' is refused: " + refusal.text()),
          type_(std::move(type)),
          attempt_(attempt),
          job_identity_(std::move(job_identity)),
          refusal_(std::move(refusal)) {}
    const std::string& type() const { return type_; }
    const std::optional<AttemptId>& attempt() const {
        return attempt_;
    }  // its numbers may be the invalid ones
    const std::string& job_identity() const { return job_identity_; }
    const Refusal& refusal() const { return refusal_; }

  private:
    std::string type_;
    std::optional<AttemptId> attempt_;
    std::string job_identity_;
    Refusal refusal_;
};

}  // namespace orchestrate
