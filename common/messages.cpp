#include "common/messages.h"

#include <boost/mp11.hpp>

#include "common/message_writer.h"
#include "common/strict_msgpack.h"

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

Message decode_body(std::span<const std::uint8_t> body) {
    try {
        const Json json = parse_strict_msgpack(body);
        if (!json.is_array() || json.size() != 2 || !json[0].is_string()) {
            throw ProtocolError("a frame is not [type, fields]");
        }
        const auto type = json[0].get<std::string>();
        std::optional<Message> message;
        boost::mp11::mp_for_each<boost::mp11::mp_transform<boost::mp11::mp_identity, Message>>(
            [&](auto candidate) {
                using Content = typename decltype(candidate)::type;
                if (!message && !type.empty() && type == Content::kType) {
                    message = json[1].get<Content>();
                }
            });
        if (!message) {
            return UnknownMessage{type};
        }
        return *std::move(message);
    } catch (const ProtocolError&) {
        throw;
    } catch (const std::exception& error) {
        throw ProtocolError(std::string("a frame cannot be decoded: ") + error.what());
    }
}

}  // namespace orchestrate
