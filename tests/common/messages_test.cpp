#include "common/protocol/messages.h"

#include <array>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orchestrate {
namespace {

template <class Direction, class Content>
Content through_the_wire(const Content& content) {
    const auto frame = encode_frame(Direction(content));
    const std::size_t size = std::size_t{frame[0]} << 24 | std::size_t{frame[1]} << 16 |
                             std::size_t{frame[2]} << 8 | std::size_t{frame[3]};
    EXPECT_EQ(size, frame.size() - 4);
    return std::get<Content>(decode_body<Direction>(std::span(frame).subspan(4)));
}

template <class Direction>
Direction decode(const Json& json) {
    return decode_body<Direction>(Json::to_msgpack(json));
}

// An end without a result, with other fields.
AttemptEnded decode_end(Json fields) {
    fields["attempt"] = {{"job", 1}, {"number", 1}};
    fields["cause"] = "preempted";
    return std::get<AttemptEnded>(decode<WorkerToCoordinator>(Json::array({"attempt_ended", fields})));
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
    const auto arrived = through_the_wire<CoordinatorToWorker>(lease);
    EXPECT_EQ(arrived.attempt, lease.attempt);
    EXPECT_EQ(arrived.config, lease.config);
    EXPECT_EQ(arrived.paths, lease.paths);
}

TEST(MessagesTest, AResultArrivesWithItsPredictions) {
    AttemptEnded ended;
    ended.attempt = {JobId(1), 1};
    ended.result.emplace();
    ended.result->classes = {"funk", "punk"};
    ended.result->test_predictions = {{2, 3}, {0, 1}, {1, 1}, {0.25F, 0.1F}};
    const std::vector<std::uint16_t> all = {65535, 0, 1, 65534};
    ended.result->test_predictions.class_probabilities = pack_probabilities(all, 2);
    ended.result->data.leaks = {{"test", "group", 4, 0.5}};
    const auto arrived = through_the_wire<WorkerToCoordinator>(ended);
    ASSERT_TRUE(arrived.result);
    EXPECT_EQ(arrived.result->test_predictions.probability, ended.result->test_predictions.probability);
    EXPECT_EQ(unpack_probabilities(arrived.result->test_predictions.class_probabilities), all);
    EXPECT_EQ(arrived.result->data.leaks.at(0).kind, "group");
}

TEST(MessagesTest, OptionalFieldsMayBeEmpty) {
    EXPECT_FALSE(
        through_the_wire<WorkerToCoordinator>(AttemptEnded{{JobId(1), 1}, Cause::preempted, "", {}}).result);
}

TEST(MessagesTest, PiecesOfFilesTravelAsTheyAre) {
    UploadChunk chunk;
    chunk.upload.attempt = {JobId(7), 3};
    chunk.upload.name = "abc";
    chunk.offset = 1 << 20;
    for (int value = 0; value < 256; ++value) {
        chunk.bytes.values.push_back(static_cast<std::uint8_t>(value));
    }
    const auto arrived = through_the_wire<WorkerToCoordinator>(chunk);
    EXPECT_EQ(arrived.upload, chunk.upload);
    EXPECT_EQ(arrived.bytes, chunk.bytes);
    EXPECT_LT(encode_frame(WorkerToCoordinator(chunk)).size(), 400U);  // not one number per byte
    EXPECT_THROW(decode<WorkerToCoordinator>(Json::array({"upload_chunk", {{"bytes", {1, 2}}}})),
                 ProtocolError);
}

TEST(MessagesTest, AMissingFieldKeepsItsDefaultAndAnUnknownOneIsIgnored) {
    const auto welcome =
        std::get<Welcome>(decode<HelloReply>(Json::array({"welcome", {{"invented_later", 5}}})));
    EXPECT_EQ(welcome.heartbeat_interval_milliseconds, 4000);
}

TEST(MessagesTest, NonsenseIsRefused) {
    const auto refuse = [](const Json& json) {
        EXPECT_THROW(decode<CoordinatorToWorker>(json), ProtocolError) << json;
        EXPECT_THROW(decode<HelloMessage>(json), ProtocolError) << json;
    };
    refuse(Json::array({"lease"}));
    refuse(Json::array({"lease", 5}));
    refuse(Json::array({"lease", {{"attempt", "seven"}}}));
    refuse(Json::array({"hello", {{"role", "emperor"}}}));
    refuse(Json::object());
    refuse(nullptr);
    EXPECT_THROW(decode_body<CoordinatorToWorker>({}), ProtocolError);
}

TEST(MessagesTest, ANumberThatIsNoIntegerOfItsFieldIsRefused) {
    const auto epoch = [](const Json& number) { return Json{{"epochs", {{{"epoch", number}}}}}; };
    EXPECT_EQ(decode_end(epoch(3)).epochs.at(0).epoch, 3);
    for (const Json& number : {Json(-7.2e32), Json(1.5), Json(std::uint64_t{1} << 63), Json("3")}) {
        EXPECT_THROW(decode_end(epoch(number)), ProtocolError) << number;
    }
    const auto rows = [](const Json& row) {
        return Json{{"result", {{"test_predictions", {{"row", {1, row}}}}}}};
    };
    EXPECT_EQ(decode_end(rows(2)).result->test_predictions.row.at(1), 2);
    EXPECT_THROW(decode_end(rows(1e30)), ProtocolError);
    EXPECT_THROW(decode<CoordinatorToWorker>(Json::array({"lease", {{"resources", {{"ranks", 1LL << 40}}}}})),
                 ProtocolError);
}

TEST(MessagesTest, ATypeOfAnotherDirectionIsRefusedWithItsName) {
    const auto type_refused = [](const Json& json) -> std::string {
        try {
            decode<WorkerToCoordinator>(json);
        } catch (const UnexpectedMessage& error) {
            return error.type();
        }
        return "taken";
    };
    EXPECT_EQ(type_refused(Json::array({"heartbeat", Json::object()})), "taken");
    EXPECT_EQ(type_refused(Json::array({"lease", Json::object()})), "lease");
    EXPECT_EQ(type_refused(Json::array({"control_request", Json::object()})), "control_request");
    EXPECT_EQ(type_refused(Json::array({"invented_later", {{"number", 5}}})), "invented_later");
    EXPECT_EQ(type_refused(Json::array({"", Json::object()})), "");
    EXPECT_EQ(type_refused(Json::array({"two\nlines", Json::object()})), "two lines");
}

TEST(MessagesTest, AFieldThatIsNotValidIsRefusedWhereItIsDecoded) {
    AttemptEnded ended{{JobId(7), 2}, Cause::succeeded, "", AttemptResult{}};
    ended.job_identity = std::string(64, 'a');
    ended.result->total_seconds = std::numeric_limits<double>::quiet_NaN();
    try {
        through_the_wire<WorkerToCoordinator>(ended);
        FAIL() << "it was taken";
    } catch (const InvalidMessage& error) {
        EXPECT_EQ(error.type(), "attempt_ended");
        EXPECT_EQ(error.attempt(), (AttemptId{JobId(7), 2}));
        EXPECT_EQ(error.job_identity(), ended.job_identity);
        EXPECT_EQ(error.refusal(), (Refusal{"total_seconds", "is nan, expected a finite number from 0"}));
        EXPECT_THAT(error.what(), testing::HasSubstr("total_seconds is nan"));
    }
    EXPECT_THROW(through_the_wire<WorkerToCoordinator>(Heartbeat{-1, 0}), InvalidMessage);
    EXPECT_THROW(through_the_wire<CoordinatorToWorker>(Acknowledged{{JobId(0), 1}, false}), InvalidMessage);
    EXPECT_THROW(through_the_wire<PilotToCoordinator>(WorkerExited{"../x", 0, 0, ""}), InvalidMessage);
    EXPECT_THROW(through_the_wire<CoordinatorToPilot>(StartWorker{"pilot-1", 0}), InvalidMessage);
    EXPECT_THROW(through_the_wire<ClientRequest>(JobsRequest{"s", {}, -1}), InvalidMessage);
    EXPECT_THROW(through_the_wire<ClientReply>(JobsReply{{}, -1}), InvalidMessage);
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
    EXPECT_THROW(decode_body<CoordinatorToWorker>(body), ProtocolError);
    body.assign(3'000'000, 0x81);  // the same of tables
    EXPECT_THROW(decode_body<CoordinatorToWorker>(body), ProtocolError);
}

// Announces four billion items, and has none of them.
TEST(MessagesTest, AnnouncedSizesCostNothing) {
    for (const std::uint8_t kind : {0xDD, 0xDF, 0xDB, 0xC6}) {
        EXPECT_THROW(
            decode_body<CoordinatorToWorker>(std::vector<std::uint8_t>{0x92, kind, 0xFF, 0xFF, 0xFF, 0xFF}),
            ProtocolError);
    }
}

TEST(MessagesTest, EveryTruncationOfAFrameIsRefused) {
    const auto frame = encode_frame(CoordinatorToWorker(Lease{}));
    for (std::size_t size = 0; size + 4 < frame.size(); ++size) {
        EXPECT_THROW(decode_body<CoordinatorToWorker>(std::span(frame).subspan(4, size)), ProtocolError)
            << size;
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
    // Each of so many epochs is then found to be the 0th, which there is not.
    EXPECT_THROW(decode_body<WorkerToCoordinator>(body_with(100, 0x80, "epochs")), InvalidMessage);
    const auto is_too_large = [](const std::vector<std::uint8_t>& body) {
        try {
            decode_body<WorkerToCoordinator>(body);
        } catch (const ProtocolError& error) {
            return std::string_view(error.what()).find("larger in memory") != std::string_view::npos;
        }
        return false;
    };
    EXPECT_TRUE(is_too_large(body_with(5'000'000, 0x80, "epochs")));           // a gigabyte of epochs
    EXPECT_FALSE(is_too_large(body_with(5'000'000, 0x05, "invented_later")));  // is not kept
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
    EXPECT_TRUE(is_too_large(rows));
}

TEST(MessagesTest, APeerMaySendOnlyWhatItsRoleNeeds) {
    EXPECT_GE(max_body_bytes<WorkerToCoordinator>(AttemptEnded::kType), std::size_t{32} << 20);
    EXPECT_GT(max_body_bytes<WorkerToCoordinator>(UploadChunk::kType), kUploadChunkBytes);
    EXPECT_LE(max_body_bytes<WorkerToCoordinator>(Heartbeat::kType), std::size_t{64} << 10);
    EXPECT_LE(max_body_bytes<WorkerToCoordinator>(SubmitStudy::kType), std::size_t{64} << 10);
    EXPECT_LE(max_body_bytes<PilotToCoordinator>(AttemptEnded::kType), std::size_t{64} << 10);
    EXPECT_LE(max_body_bytes<ClientRequest>(AttemptEnded::kType), std::size_t{64} << 10);
    EXPECT_GT(max_body_bytes<ClientRequest>(SubmitStudy::kType), std::size_t{1} << 20);
    EXPECT_EQ(max_body_bytes<HelloMessage>(Hello::kType), kMaximumHelloBytes);
    const auto frame = encode_frame(WorkerToCoordinator(AttemptEnded{}));
    const std::span body = std::span(frame).subspan(4);
    EXPECT_EQ(peek_type(body.first(kPeekedBytes)), "attempt_ended");
    EXPECT_EQ(peek_type(body.first(kPeekedBytes - 1)), std::nullopt);
    EXPECT_EQ(peek_type(std::vector<std::uint8_t>(kPeekedBytes, 0xFF)), "");
}

TEST(MessagesTest, AnErrorNamesTheField) {
    try {
        decode<CoordinatorToWorker>(Json::array({"lease", {{"attempt", {{"job", "seven"}}}}}));
        FAIL();
    } catch (const ProtocolError& error) {
        EXPECT_THAT(error.what(), testing::HasSubstr("'lease'"));
        EXPECT_THAT(error.what(), testing::HasSubstr("attempt.job is a string, expected an integer"));
    }
}

TEST(MessagesTest, AnIntegerIsANumberToo) {
    EXPECT_EQ(decode_end({{"result", {{"total_seconds", 3}}}}).result->total_seconds, 3.0);
    EXPECT_THROW(decode<WorkerToCoordinator>(Json::array({"heartbeat", {{"step", 3.0}}})), ProtocolError);
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

TEST(MessagesTest, WhatUsersAskArrivesAsItWasSent) {
    const auto control = through_the_wire<ClientRequest>(ControlRequest{Control::drain, "local-2"});
    EXPECT_EQ(control.control, Control::drain);
    EXPECT_EQ(control.target, "local-2");
    LogReply log;
    log.bytes.values = {0, 255, 10};  // no text of any encoding
    EXPECT_EQ(through_the_wire<ClientReply>(log).bytes, log.bytes);
    JobReply job;
    job.job.row.job = JobId(1);
    job.job.attempts.resize(1);
    job.job.attempts[0].number = 1;
    job.job.attempts[0].resumed_step = 40;
    EXPECT_EQ(through_the_wire<ClientReply>(job).job.attempts.at(0).resumed_step, 40);
}

}  // namespace
}  // namespace orchestrate
