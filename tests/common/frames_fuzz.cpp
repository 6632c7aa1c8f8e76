// For libFuzzer: any bytes as a stream of frames are read or refused, and what is read means the same when it is sent on.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "common/protocol/messages.h"

namespace {

using namespace orchestrate;

// Goes through the wire once more.
Message sent_on(const Message& message) {
    const auto frame = encode_frame(message);
    return decode_body(std::span(frame).subspan(4));
}

void read_frame(std::span<const std::uint8_t> body) {
    const Message message = decode_body(body);
    if (std::holds_alternative<UnknownMessage>(message)) {
        return;
    }
    try {
        if (encode_frame(sent_on(message)) != encode_frame(message)) {
            std::abort();
        }
    } catch (const nlohmann::json::exception&) {
        // A text that is no UTF-8, or so: it cannot be sent on, which is told.
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    std::span<const std::uint8_t> rest(bytes, size);
    try {
        while (rest.size() >= 4) {
            const std::size_t body = body_size(rest.first<4>());
            rest = rest.subspan(4);
            if (body > rest.size()) {
                break;  // the connection would wait for more
            }
            read_frame(rest.first(body));
            rest = rest.subspan(body);
        }
    } catch (const ProtocolError&) {
    }
    return 0;
}
