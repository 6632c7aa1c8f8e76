#include "common/protocol/messages.h"

#include <array>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orchestrate {
namespace {

Message through_the_wire(const Message& message) {
    const auto frame = encode_frame(message);
    const std::size_t size = std::size_t{frame[0]} << 24 | std::size_t{frame[1]} << 16 |
                             std::size_t{frame[2]} << 8 | std::size_t{frame[3]};
    EXPECT_EQ(size, frame.size() - 4);
    return decode_body(std::span(frame).subspan(4));
}

TEST(MessagesTest, ALeaseArrivesAsItWasSent) {
    Lease lease;
    lease.attempt = {JobId(7), 3};
    lease.config.data.features = {"energy", "tempo"};
    lease.config.data.split.group_by = {{"artists", ";"}};
    lease.config.train.learning_rate = 0.1 + 0.2;  // no short decimal
    lease.config.model.head_activation = Activation::tanh;
    lease.config.seed.data_order = 1ULL << 63;
    lease.paths.data = "/data/tracks.csv";
    const auto arrived = std::get<Lease>(through_the_wire(lease));
    EXPECT_EQ(arrived.attempt, lease.attempt);
    EXPECT_EQ(arrived.config, lease.config);
    EXPECT_EQ(arrived.paths, lease.paths);
}

TEST(MessagesTest, AResultArrivesWithItsPredictions) {
    AttemptEnded ended;
    ended.attempt = {JobId(1), 1};
    ended.result.emplace();
    ended.result->test_predictions = {{2, 3}, {0, 1}, {1, 1}, {0.25F, 0.1F}};
    const std::vector<std::uint16_t> all = {65535, 0, 1, 65534};
    ended.result->test_predictions.class_probabilities = pack_probabilities(all, 2);
    ended.result->data.leaks = {{"test", "group", 4, 0.5}};
    const auto arrived = std::get<AttemptEnded>(through_the_wire(ended));
    ASSERT_TRUE(arrived.result);
    EXPECT_EQ(arrived.result->test_predictions.probability, ended.result->test_predictions.probability);
    EXPECT_EQ(unpack_probabilities(arrived.result->test_predictions.class_probabilities), all);
    EXPECT_EQ(arrived.result->data.leaks.at(0).kind, "group");
}

TEST(MessagesTest, OptionalFieldsMayBeEmpty) {
    const auto arrived = std::get<Hello>(through_the_wire(Hello{}));
    EXPECT_FALSE(arrived.running);
    EXPECT_FALSE(std::get<AttemptEnded>(through_the_wire(AttemptEnded{})).result);
}

TEST(MessagesTest, PiecesOfFilesTravelAsTheyAre) {
    ParcelChunk chunk;
    chunk.parcel.attempt = {JobId(7), 3};
    chunk.parcel.name = "abc";
    chunk.offset = 1 << 20;
    for (int value = 0; value < 256; ++value) {
        chunk.bytes.values.push_back(static_cast<std::uint8_t>(value));
    }
    const auto arrived = std::get<ParcelChunk>(through_the_wire(chunk));
    EXPECT_EQ(arrived.parcel, chunk.parcel);
    EXPECT_EQ(arrived.bytes, chunk.bytes);
    EXPECT_LT(encode_frame(chunk).size(), 400U);  // not one number per byte
    EXPECT_THROW(decode_body(Json::to_msgpack(Json::array({"parcel_chunk", {{"bytes", {1, 2}}}}))),
                 ProtocolError);
}

TEST(MessagesTest, AMissingFieldKeepsItsDefaultAndAnUnknownOneIsIgnored) {
    const auto body = Json::to_msgpack(Json::array({"welcome", {{"invented_later", 5}}}));
    const auto welcome = std::get<Welcome>(decode_body(body));
    EXPECT_EQ(welcome.heartbeat_interval_milliseconds, 4000);
}

TEST(MessagesTest, NonsenseIsRefused) {
    const auto refuse = [](const Json& json) {
        const auto body = Json::to_msgpack(json);
        EXPECT_THROW(decode_body(body), ProtocolError) << json;
    };
    refuse(Json::array({"lease"}));
    refuse(Json::array({"lease", 5}));
    refuse(Json::array({"lease", {{"attempt", "seven"}}}));
    refuse(Json::array({"hello", {{"role", "emperor"}}}));
    refuse(Json::object());
    refuse(nullptr);
    EXPECT_THROW(decode_body({}), ProtocolError);
}

TEST(MessagesTest, ANumberThatIsNoIntegerOfItsFieldIsRefused) {
    const auto decode = [](const Json& fields) {
        return decode_body(Json::to_msgpack(Json::array({"attempt_ended", fields})));
    };
    const auto epoch = [](const Json& number) { return Json{{"epochs", {{{"epoch", number}}}}}; };
    EXPECT_EQ(std::get<AttemptEnded>(decode(epoch(3))).epochs.at(0).epoch, 3);
    for (const Json& number : {Json(-7.2e32), Json(1.5), Json(std::uint64_t{1} << 63), Json("3")}) {
        EXPECT_THROW(decode(epoch(number)), ProtocolError) << number;
    }
    const auto rows = [](const Json& row) {
        return Json{{"result", {{"test_predictions", {{"row", {1, row}}}}}}};
    };
    EXPECT_EQ(std::get<AttemptEnded>(decode(rows(2))).result->test_predictions.row.at(1), 2);
    EXPECT_THROW(decode(rows(1e30)), ProtocolError);
    EXPECT_THROW(
        decode_body(Json::to_msgpack(Json::array({"lease", {{"resources", {{"ranks", 1LL << 40}}}}}))),
        ProtocolError);
}

TEST(MessagesTest, AMessageOfANewerReleaseIsToldApart) {
    const auto arrived = decode_body(Json::to_msgpack(Json::array({"invented_later", {{"number", 5}}})));
    EXPECT_EQ(std::get<UnknownMessage>(arrived).type, "invented_later");
    EXPECT_EQ(std::get<UnknownMessage>(decode_body(Json::to_msgpack(Json::array({"", Json::object()})))).type,
              "");
}

TEST(MessagesTest, AFrameIsMeasuredBeforeItIsRead) {
    const std::array<std::uint8_t, 4> prefix = {0, 1, 0, 2};
    EXPECT_EQ(body_size(prefix), 65538U);
    EXPECT_EQ(body_size(prefix, 65538), 65538U);
    EXPECT_THROW(body_size(prefix, 65537), ProtocolError);
    const std::array<std::uint8_t, 4> largest = {255, 255, 255, 255};
    EXPECT_THROW(body_size(largest), ProtocolError);
}

// A reader that recurses would have no stack left.
TEST(MessagesTest, EndlessNestingIsRefused) {
    std::vector<std::uint8_t> body(1'000'000, 0x91);  // a list that holds a list that holds ...
    body.push_back(0xC0);
    EXPECT_THROW(decode_body(body), ProtocolError);
    body.assign(3'000'000, 0x81);  // the same of tables
    EXPECT_THROW(decode_body(body), ProtocolError);
}

// Announces four billion items, and has none of them.
TEST(MessagesTest, AnnouncedSizesCostNothing) {
    for (const std::uint8_t kind : {0xDD, 0xDF, 0xDB, 0xC6}) {
        EXPECT_THROW(decode_body(std::vector<std::uint8_t>{0x92, kind, 0xFF, 0xFF, 0xFF, 0xFF}),
                     ProtocolError);
    }
}

TEST(MessagesTest, EveryTruncationOfAFrameIsRefused) {
    const auto frame = encode_frame(Lease{});
    for (std::size_t size = 0; size + 4 < frame.size(); ++size) {
        EXPECT_THROW(decode_body(std::span(frame).subspan(4, size)), ProtocolError) << size;
    }
}

// A list of small numbers takes eight bytes in memory for each of its own.
TEST(MessagesTest, WhatAMessageTakesInMemoryIsBoundedByItsSize) {
    const auto body_with = [](std::size_t items, std::uint8_t item, const std::string& field) {
        auto body = Json::to_msgpack(Json::array({"attempt_ended", {{field, nullptr}}}));
        body.pop_back();  // the null
        body.push_back(0xDD);
        for (int shift = 24; shift >= 0; shift -= 8) {
            body.push_back(static_cast<std::uint8_t>(items >> shift));
        }
        body.insert(body.end(), items, item);
        return body;
    };
    EXPECT_EQ(std::get<AttemptEnded>(decode_body(body_with(100, 0x80, "epochs"))).epochs.size(), 100U);
    EXPECT_THROW(decode_body(body_with(5'000'000, 0x80, "epochs")), ProtocolError);  // a gigabyte of epochs
    EXPECT_NO_THROW(decode_body(body_with(5'000'000, 0x05, "invented_later")));      // is not kept
    std::vector<std::uint8_t> rows = {0x92, 0xAD};
    const std::string type = "attempt_ended";
    rows.insert(rows.end(), type.begin(), type.end());
    const auto append = [&](const std::string& text) {
        rows.push_back(0x81);
        rows.push_back(static_cast<std::uint8_t>(0xA0 | text.size()));
        rows.insert(rows.end(), text.begin(), text.end());
    };
    append("result");
    append("test_predictions");
    append("row");
    const std::size_t count = 1'000'000;
    rows.insert(rows.end(), {0xDD, 0x00, 0x0F, 0x42, 0x40});
    rows.insert(rows.end(), count, 0x01);
    EXPECT_THROW(decode_body(rows), ProtocolError);
}

TEST(MessagesTest, APeerMaySendOnlyWhatItsRoleNeeds) {
    EXPECT_GE(max_body_bytes(Role::worker, AttemptEnded::kType), std::size_t{32} << 20);
    EXPECT_GT(max_body_bytes(Role::worker, ParcelChunk::kType), kParcelChunkBytes);
    EXPECT_LE(max_body_bytes(Role::worker, Heartbeat::kType), std::size_t{64} << 10);
    EXPECT_LE(max_body_bytes(Role::pilot, AttemptEnded::kType), std::size_t{64} << 10);
    EXPECT_LE(max_body_bytes(Role::person, AttemptEnded::kType), std::size_t{64} << 10);
    EXPECT_GT(max_body_bytes(Role::person, SubmitStudy::kType), std::size_t{1} << 20);
    const auto frame = encode_frame(AttemptEnded{});
    const std::span body = std::span(frame).subspan(4);
    EXPECT_EQ(peek_type(body.first(kPeekedBytes)), "attempt_ended");
    EXPECT_EQ(peek_type(body.first(kPeekedBytes - 1)), std::nullopt);
    EXPECT_EQ(peek_type(std::vector<std::uint8_t>(kPeekedBytes, 0xFF)), "");
}

TEST(MessagesTest, AnErrorNamesTheField) {
    try {
        decode_body(Json::to_msgpack(Json::array({"lease", {{"attempt", {{"job", "seven"}}}}})));
        FAIL();
    } catch (const ProtocolError& error) {
        EXPECT_THAT(error.what(), testing::HasSubstr("'lease'"));
        EXPECT_THAT(error.what(), testing::HasSubstr("attempt.job is a string, expected an integer"));
    }
}

TEST(MessagesTest, AnIntegerIsANumberToo) {
    const auto ended = std::get<AttemptEnded>(
        decode_body(Json::to_msgpack(Json::array({"attempt_ended", {{"result", {{"total_seconds", 3}}}}}))));
    EXPECT_EQ(ended.result->total_seconds, 3.0);
    EXPECT_THROW(decode_body(Json::to_msgpack(Json::array({"heartbeat", {{"step", 3.0}}}))), ProtocolError);
}

TEST(JobIdentityTest, DependsOnEveryPartAndNothingElse) {
    const JobConfig base;
    JobConfig other = base;
    EXPECT_EQ(job_identity(base), job_identity(other));
    EXPECT_EQ(job_identity(base).size(), 64U);
    other.seed.initialization = 1;
    EXPECT_NE(job_identity(base), job_identity(other));
    other = base;
    other.data.sha256 = "0";
    EXPECT_NE(job_identity(base), job_identity(other));
    other = base;
    other.numerics_version += 1;
    EXPECT_NE(job_identity(base), job_identity(other));
}

TEST(MessagesTest, WhatPeopleAskArrivesAsItWasSent) {
    const auto control =
        std::get<ControlRequest>(through_the_wire(ControlRequest{Control::drain, "local-2"}));
    EXPECT_EQ(control.control, Control::drain);
    EXPECT_EQ(control.target, "local-2");
    LogReply log;
    log.bytes.values = {0, 255, 10};  // no text of any encoding
    EXPECT_EQ(std::get<LogReply>(through_the_wire(log)).bytes, log.bytes);
    JobReply job;
    job.job.attempts.resize(1);
    job.job.attempts[0].resumed_step = 40;
    EXPECT_EQ(std::get<JobReply>(through_the_wire(job)).job.attempts.at(0).resumed_step, 40);
}

}  // namespace
}  // namespace orchestrate
