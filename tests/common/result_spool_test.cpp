// Results that wait on disk for the coordinator: none is lost by a power cut, none is read that is not whole.
#include "common/protocol/result_spool.h"

#include <array>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/sha256.h"
#include "tests/common/simulated_disk.h"

namespace orchestrate::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kFolder = "/logs/unacknowledged/f00d";

AttemptEnded result_of(const AttemptId& attempt) {
    AttemptResult result;
    result.classes = {"funk", "punk"};
    result.metrics = {{MetricPart::test, "accuracy", 1.0 / static_cast<double>(attempt.job.value())}};
    result.test_predictions = {{2, 3}, {0, 1}, {1, 1}, {0.25F, 0.1F}};
    return {attempt, Cause::succeeded, "", result, "identity"};
}

bool is_whole(const AttemptEnded& ended) {
    return ended.result &&
           find_metric(ended.result->metrics, {MetricPart::test, "accuracy"}) ==
               1.0 / static_cast<double>(ended.attempt.job.value()) &&
           ended.result->test_predictions.probability == std::vector<float>{0.25F, 0.1F};
}

TEST(ResultSpool, GivesBackWhatWasPutAndNotRemoved) {
    SimulatedDisk disk;
    ResultSpool spool(disk, kFolder);
    spool.put(result_of({JobId(1), 1}));
    spool.put(result_of({JobId(2), 3}));
    spool.remove({JobId(1), 1});
    spool.remove({JobId(9), 9});
    const auto found = ResultSpool(disk, kFolder).leftovers();
    ASSERT_EQ(found.results.size(), 1U);
    EXPECT_EQ(found.results[0].attempt, (AttemptId{JobId(2), 3}));
    EXPECT_EQ(found.results[0].job_identity, "identity");
    EXPECT_TRUE(is_whole(found.results[0]));
    EXPECT_THAT(found.unreadable, IsEmpty());
}

// As a program before protocol version 4 wrote it: metrics in fields of their own.
TEST(ResultSpool, ReadsTheMetricsOfOlderPrograms) {
    const auto part = [](double accuracy) {
        return Json{{"loss", 0.5}, {"accuracy", accuracy}, {"macro_f1", 0.25}, {"rows", 4}};
    };
    Json message = Json(result_of({JobId(4), 1}));
    message["epochs"] = {{{"epoch", 1}, {"validation", part(0.125)}, {"named", Json::array()}}};
    Json& result = message["result"];
    result.erase("metrics");
    result["validation"] = part(0.75);
    result["test"] = part(0.5);
    result["named"] = Json::array();
    const auto body = Json::to_msgpack(Json::array({"attempt_ended", message}));
    std::string frame(4, '\0');
    frame.append(body.begin(), body.end());
    const std::string text = sha256_hex(frame) + frame;
    SimulatedDisk disk;
    ResultSpool spool(disk, kFolder);
    const std::array pieces{std::as_bytes(std::span(text))};
    write_durably(disk, std::filesystem::path(kFolder) / "job-4-attempt-1.result", pieces);
    const auto found = spool.leftovers();
    ASSERT_THAT(found.unreadable, IsEmpty());
    ASSERT_EQ(found.results.size(), 1U);
    const auto& metrics = found.results[0].result->metrics;
    EXPECT_EQ(find_metric(metrics, {MetricPart::test, "accuracy"}), 0.5);
    EXPECT_EQ(find_metric(metrics, {MetricPart::validation, "accuracy"}), 0.75);
    EXPECT_EQ(metrics.size(), 6U);
    ASSERT_EQ(found.results[0].epochs.size(), 1U);
    EXPECT_FALSE(found.results[0].epochs[0].of_command);
    EXPECT_EQ(find_metric(found.results[0].epochs[0].metrics, {MetricPart::validation, "accuracy"}), 0.125);
}

TEST(ResultSpool, WhatIsNotWholeIsToldAndLeft) {
    SimulatedDisk disk;
    ResultSpool spool(disk, kFolder);
    spool.put(result_of({JobId(1), 1}));
    spool.put(result_of({JobId(2), 1}));
    disk.flip_bit(std::string(kFolder) + "/job-1-attempt-1.result", 999);
    const auto found = spool.leftovers();
    ASSERT_EQ(found.results.size(), 1U);
    EXPECT_EQ(found.results[0].attempt.job, JobId(2));
    EXPECT_THAT(found.unreadable, ElementsAre(HasSubstr("job-1-attempt-1.result")));
    EXPECT_EQ(disk.list(kFolder).size(), 2U);
}

TEST(ResultSpool, WhatIsNotValidIsTheEndOfItsAttemptInWords) {
    SimulatedDisk disk;
    ResultSpool spool(disk, kFolder);
    AttemptEnded ended = result_of({JobId(1), 1});
    ended.job_identity = std::string(64, 'a');
    ended.result->total_seconds = -1;
    spool.put(ended);
    ended.attempt = {JobId(1), 0};
    spool.put(ended);
    const auto found = spool.leftovers();
    ASSERT_EQ(found.results.size(), 1U);
    EXPECT_EQ(found.results[0].attempt, (AttemptId{JobId(1), 1}));
    EXPECT_EQ(found.results[0].cause, Cause::worker_crashed);
    EXPECT_EQ(
        found.results[0].message,
        "the result that a worker left on disk was refused: total_seconds is -1, expected a finite number "
        "from 0");
    EXPECT_EQ(found.results[0].job_identity, ended.job_identity);
    EXPECT_FALSE(found.results[0].result);
    EXPECT_THAT(found.unreadable, ElementsAre(HasSubstr("attempt.number is 0")));
}

// Puts results one after another and removes each when the next one is there. After a power cut every result that
// was put and not removed is found, and nothing broken.
int damages_of_the_spool(Swallowed swallowed) {
    std::set<std::int64_t> waiting;
    return damages_by_power_cuts(
        swallowed,
        [&](SimulatedDisk& disk) {
            waiting.clear();
            ResultSpool spool(disk, kFolder);
            for (std::int64_t job = 1; job <= 4; ++job) {
                spool.put(result_of({JobId(job), 1}));
                waiting.insert(job);
                waiting.erase(job - 1);
                spool.remove({JobId(job - 1), 1});
            }
        },
        [&](SimulatedDisk& disk) {
            auto found = ResultSpool(disk, kFolder).leftovers();
            std::set<std::int64_t> missing = waiting;
            for (const auto& ended : found.results) {
                missing.erase(ended.attempt.job.value());
                if (!is_whole(ended)) {
                    return false;
                }
            }
            return missing.empty() && found.unreadable.empty();
        });
}

TEST(ResultSpoolPowerCut, NoResultIsLostAtAnyCall) {
    EXPECT_EQ(damages_of_the_spool(Swallowed::nothing), 0);
}

TEST(ResultSpoolPowerCut, OneWouldBeLostWithoutTheSyncBeforeTheRename) {
    EXPECT_GT(damages_of_the_spool(Swallowed::file_sync), 0);
}

TEST(ResultSpoolPowerCut, OneWouldBeLostWithoutTheSyncOfTheFolder) {
    EXPECT_GT(damages_of_the_spool(Swallowed::folder_sync), 0);
}

}  // namespace
}  // namespace orchestrate::test
