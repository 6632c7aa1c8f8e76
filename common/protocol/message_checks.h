// What a message to the coordinator may hold: the one place where ranges, names and sizes are checked before
// anything is decided from it or stored. Pure; what depends on the job or on who sends it is checked by the coordinator.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/protocol/messages.h"

namespace orchestrate {

inline constexpr int kMaxRanks = 65'536;          // of one worker; also slots of one pilot
inline constexpr int kMaxLeaseCapacity = 65'536;  // attempts that one worker holds at a time
inline constexpr std::size_t kMaxNameBytes = 128;
inline constexpr std::size_t kMaxPathBytes = 4096;
inline constexpr std::size_t kMaxMessageBytes = 16'384;  // of words about an attempt
inline constexpr std::size_t kMaxLineBytes = 1024;       // of words that users see as one line
inline constexpr std::size_t kMaxNamedMetrics = 10'000;  // in one message
inline constexpr std::size_t kMaxMetricNameBytes = 1024;
inline constexpr std::int64_t kMaxCount = std::int64_t{1} << 62;  // of steps, epochs, bytes

// Why a message is refused. `what` is the field as the message calls it, `why` what was found and what is expected.
struct Refusal {
    std::string what;
    std::string why;
    std::string text() const { return what + " " + why; }
    bool operator==(const Refusal&) const = default;
};

// Nothing: every field is in its range. Messages that only the coordinator sends are not checked.
std::optional<Refusal> validate(const Message& message);
std::optional<Refusal> validate(const Hello& hello);  // of a worker or a pilot
std::optional<Refusal> validate(const EpochMetrics& metrics);
std::optional<Refusal> validate(const AttemptResult& result);

// The attempt that a worker's message is about; nothing: it is about none.
std::optional<AttemptId> attempt_of(const Message& message);

// The type as frames name it: "attempt_ended".
std::string type_of(const Message& message);

// A name of a worker or a pilot: UTF-8 of 1 to kMaxNameBytes bytes that can be a part of a file's name.
bool is_valid_name(std::string_view name);

bool is_sha256(std::string_view text);

enum class Lines { one, several };

// A peer's words as they may be stored and shown: UTF-8 without control characters (with Lines::several line feeds and
// tabs are kept), at most `max_bytes` long. What is replaced or cut off shows as U+FFFD or "...".
std::string cleaned(std::string_view text, std::size_t max_bytes, Lines lines);

}  // namespace orchestrate
