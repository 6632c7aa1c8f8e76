// Rolling upgrade: peers of an older release that speak the same protocol version, and of a newer one.
#include <gmock/gmock.h>

#include "common/protocol/messages.h"
#include "protocol_2_messages.h"

namespace orchestrate {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;

std::vector<std::uint8_t> bytes_of(const std::string& hexadecimal) {
    std::vector<std::uint8_t> bytes;
    for (std::size_t i = 0; i < hexadecimal.size(); i += 2) {
        bytes.push_back(static_cast<std::uint8_t>(std::stoi(hexadecimal.substr(i, 2), nullptr, 16)));
    }
    return bytes;
}

template <class Content>
Content decoded(const char* hexadecimal) {
    return std::get<Content>(decode_body(bytes_of(hexadecimal)));
}

TEST(OlderWorker, IsGreetedWithDefaultsForWhatItDoesNotSay) {
    const auto hello = decoded<Hello>(kHello);
    EXPECT_GE(hello.protocol_version, kOldestProtocolVersion);
    EXPECT_EQ(hello.role, Role::worker);
    EXPECT_EQ(hello.ranks, 2);
    EXPECT_EQ(hello.running, (AttemptId{JobId(7), 3}));
    EXPECT_EQ(hello.lease_capacity, 1);  // it holds one attempt, as it always did
    EXPECT_THAT(hello.held, IsEmpty());
    EXPECT_FALSE(hello.runs_commands);  // and so gets no commands, which it would take for trainings
}

TEST(OlderWorker, ReportsAreUnderstood) {
    EXPECT_EQ(decoded<Heartbeat>(kHeartbeat).advances, 40);
    const auto epoch = decoded<AttemptEpoch>(kAttemptEpoch);
    EXPECT_EQ(epoch.metrics.validation.accuracy, 0.75);
    EXPECT_THAT(epoch.metrics.named, IsEmpty());
    const auto ended = decoded<AttemptEnded>(kAttemptEnded);
    EXPECT_EQ(ended.cause, Cause::succeeded);
    ASSERT_TRUE(ended.result);
    EXPECT_FALSE(ended.result->of_command);
    EXPECT_THAT(ended.result->classes, ElementsAre("funk", "punk"));
    EXPECT_EQ(ended.result->test.rows, 8);
    EXPECT_THAT(ended.result->test_predictions.row, ElementsAre(2, 3));
    EXPECT_FALSE(ended.result->model);
}

TEST(OlderCoordinator, IsUnderstood) {
    const auto welcome = decoded<Welcome>(kWelcome);
    EXPECT_TRUE(welcome.running_is_current);
    EXPECT_THAT(welcome.current, IsEmpty());
}

// Names of the fields of a message's table, and of the tables below it as "config.train".
std::vector<std::string> field_names(const Message& message, const std::string& below) {
    const auto frame = encode_frame(message);
    Json fields = Json::from_msgpack(frame.begin() + 4, frame.end())[1];
    std::size_t begin = 0;
    while (begin < below.size()) {
        const std::size_t end = std::min(below.find('.', begin), below.size());
        fields = Json(fields.at(below.substr(begin, end - begin)));
        begin = end + 1;
    }
    std::vector<std::string> names;
    for (const auto& [name, value] : fields.items()) {
        names.push_back(name);
    }
    return names;
}

// An older worker finds in a lease of today all that it knows; what it does not know it passes over.
TEST(OlderWorker, UnderstandsLeases) {
    EXPECT_THAT(field_names(Lease{}, ""), IsSupersetOf({"attempt", "config", "paths", "resources", "log_file",
                                                        "checkpoints", "models_folder"}));
    EXPECT_THAT(field_names(Lease{}, "config"),
                IsSupersetOf({"numerics_version", "data", "tokenizer", "model", "train", "seed"}));
    EXPECT_THAT(field_names(Lease{}, "paths"), IsSupersetOf({"data", "vocabulary", "pretrained"}));
    EXPECT_THAT(field_names(Lease{}, "resources"),
                IsSupersetOf({"ranks", "micro_batch_size", "retry_out_of_memory", "save_model"}));
    EXPECT_THAT(field_names(Lease{}, "checkpoints"),
                IsSupersetOf({"attempt", "folder", "interval_seconds", "resume_from"}));
    EXPECT_THAT(field_names(Acknowledged{}, ""), IsSupersetOf({"attempt", "stale"}));
    EXPECT_THAT(field_names(StopAttempt{}, ""), IsSupersetOf({"attempt"}));
    EXPECT_THAT(field_names(Welcome{}, ""),
                IsSupersetOf({"program_version", "heartbeat_interval_milliseconds", "running_is_current"}));
}

}  // namespace
}  // namespace orchestrate
