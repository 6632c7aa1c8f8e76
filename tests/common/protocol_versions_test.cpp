// Peers of another protocol version: their hello is read, so that they can be refused in words.
#include <gmock/gmock.h>

#include "common/protocol/message_codec.h"
#include "protocol_2_messages.h"

namespace orchestrate {
namespace {

std::vector<std::uint8_t> bytes_of(const std::string& hexadecimal) {
    std::vector<std::uint8_t> bytes;
    for (std::size_t i = 0; i < hexadecimal.size(); i += 2) {
        bytes.push_back(static_cast<std::uint8_t>(std::stoi(hexadecimal.substr(i, 2), nullptr, 16)));
    }
    return bytes;
}

TEST(OlderPeer, SaysWhichVersionItHas) {
    const auto hello = std::get<Hello>(decode_body<HelloMessage>(bytes_of(kHello)));
    EXPECT_EQ(hello.protocol_version, 2);
    EXPECT_NE(hello.protocol_version, kProtocolVersion);
    EXPECT_EQ(hello.program_version, "0.1.0");
    EXPECT_EQ(hello.role, Role::worker);
    EXPECT_EQ(hello.token, "t");
}

// Whatever a version has changed, Refused is what it was: a peer of any version can read it.
TEST(OlderPeer, UnderstandsThatItIsRefused) {
    const auto frame = encode_frame(HelloReply(Refused{"why"}));
    EXPECT_EQ(Json::from_msgpack(frame.begin() + 4, frame.end()),
              Json::array({"refused", {{"reason", "why"}}}));
}

}  // namespace
}  // namespace orchestrate
