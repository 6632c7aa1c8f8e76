// For libFuzzer: any bytes as a stream of frames are read or refused, and what is read means the same when it is sent on.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "common/protocol/messages.h"

namespace {

using namespace orchestrate;

// As what the peers of one direction read.
template <class Direction>
void read_as(std::span<const std::uint8_t> body) {
    try {
        const auto frame = encode_frame(decode_body<Direction>(body));
        if (encode_frame(decode_body<Direction>(std::span(frame).subspan(4))) != frame) {
            std::abort();
        }
    } catch (const ProtocolError&) {
    }
}

void read_frame(std::span<const std::uint8_t> body) {
    read_as<HelloMessage>(body);
    read_as<HelloReply>(body);
    read_as<WorkerToCoordinator>(body);
    read_as<CoordinatorToWorker>(body);
    read_as<PilotToCoordinator>(body);
    read_as<CoordinatorToPilot>(body);
    read_as<ClientRequest>(body);
    read_as<ClientReply>(body);
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
