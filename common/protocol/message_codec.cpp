#include "common/protocol/message_codec.h"

#include <boost/mp11.hpp>

#include "common/protocol/message_checks.h"
#include "common/protocol/message_reader.h"
#include "common/protocol/message_writer.h"

namespace orchestrate {
namespace {

// Of messages without large fields; and of types that are not known.
constexpr std::size_t kSmallBodyBytes = 64U << 10;

template <class Content>
std::vector<std::uint8_t> frame_of(const Content& content) {
    std::vector<std::uint8_t> frame(4);
    MessageWriter writer(frame);
    writer.begin_array(2);
    writer.write(std::string_view(Content::kType));
    writer.write(content);
    const std::size_t size = frame.size() - 4;
    if (size > kMaximumFrameBytes) {
        throw ProtocolError("a message of " + std::to_string(size) + " bytes is over the limit of " +
                            std::to_string(kMaximumFrameBytes));
    }
    for (int i = 0; i < 4; ++i) {
        frame[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(size >> (8 * (3 - i)));
    }
    return frame;
}

std::string_view read_type(MessageReader& reader) {
    if (reader.read_array() != 2) {
        throw ProtocolError("a frame is not [type, fields]");
    }
    const std::string_view type = reader.read_text();
    if (type.size() > kMaximumTypeBytes) {
        throw ProtocolError("the type of a message has " + std::to_string(type.size()) + " bytes");
    }
    return type;
}

template <class Content>
std::string job_identity_in(const Content& content) {
    if constexpr (requires { content.job_identity; }) {
        return content.job_identity;
    } else {
        return "";
    }
}

template <class Content>
Content read_valid(MessageReader& reader) {
    Content content;
    reader.read(content);
    reader.expect_end();
    if (auto refusal = validate(content)) {
        throw InvalidMessage(Content::kType, attempt_in(content), job_identity_in(content),
                             *std::move(refusal));
    }
    return content;
}

template <class Direction>
Direction read_message(MessageReader& reader, std::string_view type) {
    std::optional<Direction> message;
    boost::mp11::mp_for_each<boost::mp11::mp_transform<boost::mp11::mp_identity, Direction>>(
        [&](auto candidate) {
            using Content = typename decltype(candidate)::type;
            if (!message && type == Content::kType) {
                message.emplace(read_valid<Content>(reader));
            }
        });
    if (!message) {
        reader.skip();
        reader.expect_end();
        throw UnexpectedMessage(cleaned(type, kMaximumTypeBytes, Lines::one));
    }
    return *std::move(message);
}

}  // namespace

template <MessageDirection Direction>
std::vector<std::uint8_t> encode_frame(const Direction& message) {
    return std::visit([](const auto& content) { return frame_of(content); }, message);
}

template <MessageDirection Direction>
Direction decode_body(std::span<const std::uint8_t> body) {
    std::string type = "?";
    try {
        MessageReader reader(body);
        type = read_type(reader);
        return read_message<Direction>(reader, type);
    } catch (const ProtocolError&) {
        throw;
    } catch (const std::exception& error) {
        throw ProtocolError("a message of type '" + cleaned(type, kMaximumTypeBytes, Lines::one) +
                            "' cannot be decoded: " + error.what());
    }
}

std::size_t body_size(std::span<const std::uint8_t, 4> prefix, std::size_t max) {
    std::size_t size = 0;
    for (const std::uint8_t byte : prefix) {
        size = size << 8 | byte;
    }
    if (size > max) {
        throw ProtocolError("a frame of " + std::to_string(size) + " bytes is over the limit of " +
                            std::to_string(max));
    }
    return size;
}

std::optional<std::string> peek_type(std::span<const std::uint8_t> beginning) {
    // A list of two items and a string's header of up to five bytes.
    if (beginning.size() < kPeekedBytes) {
        return std::nullopt;
    }
    try {
        MessageReader reader(beginning);
        return std::string(read_type(reader));
    } catch (const std::exception&) {
        return "";
    }
}

template <>
std::size_t max_body_bytes<HelloMessage>(std::string_view /*type*/) {
    return kMaximumHelloBytes;
}

template <>
std::size_t max_body_bytes<WorkerToCoordinator>(std::string_view type) {
    if (type == AttemptEnded::kType) {
        return 64U << 20;  // the predictions of some millions of rows
    }
    if (type == UploadChunk::kType) {
        return kUploadChunkBytes + kSmallBodyBytes;
    }
    return type == AttemptEpoch::kType ? 1U << 20 : kSmallBodyBytes;
}

template <>
std::size_t max_body_bytes<PilotToCoordinator>(std::string_view /*type*/) {
    return kSmallBodyBytes;
}

template <>
std::size_t max_body_bytes<ClientRequest>(std::string_view type) {
    return type == SubmitStudy::kType ? 16U << 20 : kSmallBodyBytes;
}

// Whoever connects trusts the coordinator, whose certificate is checked.
template <MessageDirection Direction>
std::size_t max_body_bytes(std::string_view /*type*/) {
    return kMaximumFrameBytes;
}

template std::vector<std::uint8_t> encode_frame(const HelloMessage&);
template HelloMessage decode_body(std::span<const std::uint8_t>);
template std::vector<std::uint8_t> encode_frame(const HelloReply&);
template HelloReply decode_body(std::span<const std::uint8_t>);
template std::vector<std::uint8_t> encode_frame(const WorkerToCoordinator&);
template WorkerToCoordinator decode_body(std::span<const std::uint8_t>);
template std::vector<std::uint8_t> encode_frame(const CoordinatorToWorker&);
template CoordinatorToWorker decode_body(std::span<const std::uint8_t>);
template std::vector<std::uint8_t> encode_frame(const PilotToCoordinator&);
template PilotToCoordinator decode_body(std::span<const std::uint8_t>);
template std::vector<std::uint8_t> encode_frame(const CoordinatorToPilot&);
template CoordinatorToPilot decode_body(std::span<const std::uint8_t>);
template std::vector<std::uint8_t> encode_frame(const ClientRequest&);
template ClientRequest decode_body(std::span<const std::uint8_t>);
template std::vector<std::uint8_t> encode_frame(const ClientReply&);
template ClientReply decode_body(std::span<const std::uint8_t>);
template std::vector<std::uint8_t> encode_frame(const SpooledMessage&);
template SpooledMessage decode_body(std::span<const std::uint8_t>);
template std::size_t max_body_bytes<HelloReply>(std::string_view);
template std::size_t max_body_bytes<CoordinatorToWorker>(std::string_view);
template std::size_t max_body_bytes<CoordinatorToPilot>(std::string_view);
template std::size_t max_body_bytes<ClientReply>(std::string_view);

}  // namespace orchestrate
