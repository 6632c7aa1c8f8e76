// How messages travel. A frame is a 4-byte big-endian length and a body: MessagePack of [type, fields]. One encoder and one
// decoder serve all protocols; each is a template over the variant of messages that may be sent in one direction, such as
// WorkerToCoordinator. Pure and thread-safe.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "common/protocol/client_messages.h"
#include "common/protocol/connection_messages.h"
#include "common/protocol/pilot_messages.h"
#include "common/protocol/protocol_error.h"
#include "common/protocol/worker_messages.h"

namespace orchestrate {

inline constexpr std::size_t kMaximumFrameBytes = 256U << 20;
inline constexpr std::size_t kMaximumHelloBytes = 64U << 10;  // before anybody has said who they are

// The variants of messages, one for each direction of each protocol, and for what is kept on disk.
template <class Variant>
concept MessageDirection = std::is_same_v<Variant, HelloMessage> || std::is_same_v<Variant, HelloReply> ||
    std::is_same_v<Variant, WorkerToCoordinator> || std::is_same_v<Variant, CoordinatorToWorker> ||
    std::is_same_v<Variant, PilotToCoordinator> || std::is_same_v<Variant, CoordinatorToPilot> ||
    std::is_same_v<Variant, ClientRequest> || std::is_same_v<Variant, ClientReply> ||
    std::is_same_v<Variant, SpooledMessage>;

// Length prefix and body. Throws ProtocolError if it would exceed kMaximumFrameBytes.
template <MessageDirection Direction>
std::vector<std::uint8_t> encode_frame(const Direction& message);

// The message in the body of a frame, without its length prefix. Every field of it is valid (message_checks.h). Throws
// UnexpectedMessage for a type that Direction does not have, InvalidMessage for a field that is not valid, ProtocolError for
// everything else. Memory: see MessageReader.
template <MessageDirection Direction>
Direction decode_body(std::span<const std::uint8_t> body);

// The maximum number of bytes that the body of a message of this type may have. Small for a type that is not known.
template <MessageDirection Direction>
std::size_t max_body_bytes(std::string_view type);
template <>
std::size_t max_body_bytes<HelloMessage>(std::string_view type);
template <>
std::size_t max_body_bytes<WorkerToCoordinator>(std::string_view type);
template <>
std::size_t max_body_bytes<PilotToCoordinator>(std::string_view type);
template <>
std::size_t max_body_bytes<ClientRequest>(std::string_view type);

// The length of the body that a frame's first 4 bytes announce. Throws ProtocolError if it is more than `max`.
std::size_t body_size(std::span<const std::uint8_t, 4> prefix, std::size_t max = kMaximumFrameBytes);

inline constexpr std::size_t kMaximumTypeBytes = 64;
inline constexpr std::size_t kPeekedBytes = kMaximumTypeBytes + 6;

// The type of the message whose body begins so; empty if it has none. Nothing: more bytes are needed, kPeekedBytes or the
// whole body.
std::optional<std::string> peek_type(std::span<const std::uint8_t> beginning);

// The type as frames name it: "attempt_ended". Of any variant of messages.
template <class... Contents>
std::string type_of(const std::variant<Contents...>& message) {
    return std::visit(
        [](const auto& content) -> std::string { return std::remove_cvref_t<decltype(content)>::kType; },
        message);
}

// The attempt that a message is about; nothing: it is about none.
template <class Content>
std::optional<AttemptId> attempt_in(const Content& content) {
    if constexpr (requires { content.upload.attempt; }) {
        return content.upload.attempt;
    } else if constexpr (requires {
                             { content.attempt } -> std::convertible_to<AttemptId>;
                         }) {
        return content.attempt;
    } else {
        return std::nullopt;
    }
}

template <class... Contents>
std::optional<AttemptId> attempt_of(const std::variant<Contents...>& message) {
    return std::visit([](const auto& content) { return attempt_in(content); }, message);
}

}  // namespace orchestrate
