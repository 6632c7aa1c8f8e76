#include "common/protocol/messages.h"

#include <boost/mp11.hpp>

#include "common/protocol/message_reader.h"
#include "common/protocol/message_writer.h"

namespace orchestrate {

std::vector<std::uint8_t> encode_frame(const Message& message) {
    std::vector<std::uint8_t> frame(4);
    std::visit(
        [&](const auto& content) {
            MessageWriter writer(frame);
            writer.begin_array(2);
            writer.write(std::string_view(std::remove_cvref_t<decltype(content)>::kType));
            writer.write(content);
        },
        message);
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

std::size_t body_size(std::span<const std::uint8_t, 4> prefix, std::size_t most) {
    std::size_t size = 0;
    for (const std::uint8_t byte : prefix) {
        size = size << 8 | byte;
    }
    if (size > most) {
        throw ProtocolError("a frame of " + std::to_string(size) + " bytes is over the limit of " +
                            std::to_string(most));
    }
    return size;
}

namespace {

template <class Content>
std::optional<Message> read_content(MessageReader& reader) {
    Content content;
    reader.read(content);
    return content;
}

// By type, in the order of Message.
using Reader = std::optional<Message> (*)(MessageReader&);

Reader reader_of(std::string_view type) {
    Reader found = nullptr;
    boost::mp11::mp_for_each<boost::mp11::mp_transform<boost::mp11::mp_identity, Message>>(
        [&](auto candidate) {
            using Content = typename decltype(candidate)::type;
            if (found == nullptr && !type.empty() && type == Content::kType) {
                found = read_content<Content>;
            }
        });
    return found;
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

}  // namespace

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

std::size_t max_body_bytes(Role sender, std::string_view type) {
    constexpr std::size_t kSmall = 64U << 10;
    if (type == SubmitStudy::kType && sender == Role::person) {
        return 16U << 20;
    }
    if (sender != Role::worker) {
        return kSmall;
    }
    if (type == AttemptEnded::kType) {
        return 64U << 20;  // the predictions of some millions of rows
    }
    if (type == ParcelChunk::kType) {
        return kParcelChunkBytes + kSmall;
    }
    return type == AttemptEpoch::kType ? 1U << 20 : kSmall;
}

Message decode_body(std::span<const std::uint8_t> body) {
    std::string type = "?";
    try {
        MessageReader reader(body);
        type = read_type(reader);
        std::optional<Message> message;
        if (const Reader read = reader_of(type)) {
            message = read(reader);
        } else {
            reader.skip();
            message = UnknownMessage{type};
        }
        reader.expect_end();
        return *std::move(message);
    } catch (const ProtocolError&) {
        throw;
    } catch (const std::exception& error) {
        throw ProtocolError("a message of type '" + type + "' cannot be decoded: " + error.what());
    }
}

}  // namespace orchestrate
