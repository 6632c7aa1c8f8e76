#include "common/protocol/message_checks.h"

#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orchestrate {
namespace {

using ::testing::HasSubstr;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinite = std::numeric_limits<double>::infinity();
const std::string kHash(64, 'a');

Hello good_hello() {
    Hello hello;
    hello.role = Role::worker;
    hello.name = "local-1";
    hello.host = "host";
    hello.process_id = 7;
    hello.device = "cpu";
    hello.log_folder = "/logs";
    return hello;
}

AttemptResult good_result() {
    AttemptResult result;
    result.device_class = "cpu avx2";
    result.classes = {"funk", "punk"};
    result.test_classes = {{"funk", 0.1, 0.2, 0.3, 4}, {"punk", 1, 0, 0.7, 8}};
    result.test_confusion = {{0, 1, 3}, {1, 1, 2}};
    result.test_predictions = {{2, 5}, {0, 1}, {1, 1}, {0.75F, 1.0F}};
    result.test_predictions.class_probabilities =
        pack_probabilities(std::vector<std::uint16_t>{1, 2, 3, 4}, 2);
    result.data.data_sha256 = kHash;
    result.data.leaks = {{"test", "group", 4, 0.5}};
    result.model = SavedModel{"/models/" + kHash, kHash, 5};
    result.metrics = {{MetricPart::test, "accuracy", 0.5},
                      {MetricPart::test, "loss", 2.5},
                      {MetricPart::validation, "accuracy", 1}};
    return result;
}

template <class Content>
struct Case {
    const char* what;  // a part of the refusal
    void (*spoil)(Content&);
};

template <class Content, std::size_t size>
void each_is_refused(const Content& good, const Case<Content> (&cases)[size]) {
    EXPECT_FALSE(validate(good)) << validate(good)->text();
    for (const auto& [what, spoil] : cases) {
        Content bad = good;
        spoil(bad);
        const auto refusal = validate(bad);
        ASSERT_TRUE(refusal) << what;
        EXPECT_THAT(refusal->text(), HasSubstr(what));
    }
}

TEST(MessageChecksTest, HellosThatNoWorkerSendsAreRefused) {
    each_is_refused<Hello>(
        good_hello(),
        {
            {"name", [](Hello& hello) { hello.name = ""; }},
            {"name", [](Hello& hello) { hello.name = "../local-1"; }},
            {"name", [](Hello& hello) { hello.name = "a\\b"; }},
            {"name", [](Hello& hello) { hello.name = ".hidden"; }},
            {"name", [](Hello& hello) { hello.name = "a\nb"; }},
            {"name", [](Hello& hello) { hello.name = std::string("a\0b", 3); }},
            {"name", [](Hello& hello) { hello.name = "a\x1b[31m"; }},
            {"name", [](Hello& hello) { hello.name = "a\xff"; }},
            {"name", [](Hello& hello) { hello.name = std::string(129, 'a'); }},
            {"ranks is -100", [](Hello& hello) { hello.ranks = -100; }},
            {"ranks is 0", [](Hello& hello) { hello.ranks = 0; }},
            {"ranks is 2147483647", [](Hello& hello) { hello.ranks = std::numeric_limits<int>::max(); }},
            {"lease_capacity is 0", [](Hello& hello) { hello.lease_capacity = 0; }},
            {"lease_capacity", [](Hello& hello) { hello.lease_capacity = std::numeric_limits<int>::max(); }},
            {"process_id", [](Hello& hello) { hello.process_id = -1; }},
            {"process_id", [](Hello& hello) { hello.process_id = std::int64_t{1} << 40; }},
            {"host", [](Hello& hello) { hello.host = "a\nb"; }},
            {"device", [](Hello& hello) { hello.device = std::string(1000, 'x'); }},
            {"log_folder", [](Hello& hello) { hello.log_folder = std::string(5000, '/'); }},
            {"attempt.job",
             [](Hello& hello) {
                 hello.held = {{JobId(-1), 1}};
             }},
            {"slots is -1", [](Hello& hello) { hello.role = Role::pilot, hello.slots = -1; }},
            {"slots",
             [](Hello& hello) { hello.role = Role::pilot, hello.slots = std::numeric_limits<int>::max(); }},
        });
}

AttemptEnded good_end() {
    AttemptEnded ended{{JobId(7), 2}, Cause::succeeded, "", good_result(), "id", {}};
    ended.epochs.resize(2);
    ended.epochs[0].epoch = 1;
    ended.epochs[1].epoch = 2;
    ended.epochs[1].train_loss = kNan;  // of a training that diverges
    return ended;
}

TEST(MessageChecksTest, ResultsThatCannotBeAreRefused) {
    using E = AttemptEnded;
    each_is_refused<E>(
        good_end(),
        {
            {"attempt.number", [](E& e) { e.attempt.number = 0; }},
            {"result is missing", [](E& e) { e.result.reset(); }},
            {"total_seconds is nan", [](E& e) { e.result->total_seconds = kNan; }},
            {"total_seconds is inf", [](E& e) { e.result->total_seconds = kInfinite; }},
            {"train_seconds", [](E& e) { e.result->train_seconds = -1; }},
            {"ranks is 0", [](E& e) { e.result->ranks = 0; }},
            {"parameters", [](E& e) { e.result->parameters = -1; }},
            {"peak_memory_bytes", [](E& e) { e.result->peak_memory_bytes = -1; }},
            {"selected_epoch", [](E& e) { e.result->selected_epoch = -1; }},
            {"device_class", [](E& e) { e.result->device_class = "a\x07"; }},
            {"classes", [](E& e) { e.result->classes[0] = "a\xff"; }},
            {"test_classes has 3",
             [](E& e) {
                 e.result->test_classes.push_back({"x", 0, 0, 0, 0});
             }},
            {"test_classes.precision", [](E& e) { e.result->test_classes[0].precision = kNan; }},
            {"test_classes.support", [](E& e) { e.result->test_classes[0].support = -4; }},
            {"the metric 'accuracy' is 1.5", [](E& e) { e.result->metrics[0].value = 1.5; }},
            {"the metric 'accuracy' is nan", [](E& e) { e.result->metrics[2].value = kNan; }},
            {"the metric 'loss' is inf", [](E& e) { e.result->metrics[1].value = kInfinite; }},
            {"the metric 'f1' is none of a training", [](E& e) { e.result->metrics[1].name = "f1"; }},
            {"data.validation_rows", [](E& e) { e.result->data.validation_rows = -1; }},
            {"test_confusion.true_class is 2", [](E& e) { e.result->test_confusion[0].true_class = 2; }},
            {"test_confusion.count", [](E& e) { e.result->test_confusion[0].count = -3; }},
            {"a cell twice",
             [](E& e) {
                 e.result->test_confusion[1] = {0, 1, 9};
             }},
            {"different lengths", [](E& e) { e.result->test_predictions.probability.pop_back(); }},
            {"a line of the data twice",
             [](E& e) {
                 e.result->test_predictions.row = {5, 5};
             }},
            {"not in the order",
             [](E& e) {
                 e.result->test_predictions.row = {5, 2};
             }},
            {"test_predictions.row is 0", [](E& e) { e.result->test_predictions.row[0] = 0; }},
            {"predicted_class is -1", [](E& e) { e.result->test_predictions.predicted_class[1] = -1; }},
            {"probability is 2", [](E& e) { e.result->test_predictions.probability[0] = 2; }},
            {"class_probabilities are of 3",
             [](E& e) { e.result->test_predictions.class_probabilities.rows = 3; }},
            {"class_probabilities cannot be read",
             [](E& e) {
                 e.result->test_predictions.class_probabilities.data.values = {1, 2, 3};
             }},
            {"data.mean_tokens", [](E& e) { e.result->data.mean_tokens = kNan; }},
            {"data.leaks.part", [](E& e) { e.result->data.leaks[0].part = "train"; }},
            {"data.leaks.share", [](E& e) { e.result->data.leaks[0].share = 2; }},
            {"model.sha256", [](E& e) { e.result->model->sha256 = "../../etc"; }},
            {"model.bytes", [](E& e) { e.result->model->bytes = -5; }},
            {"metrics.name", [](E& e) { e.result->metrics[0].name = ""; }},
            {"metrics.name", [](E& e) { e.result->metrics[0].name = "a\xff"; }},
            {"the metric 'accuracy' is there twice",
             [](E& e) { e.result->metrics[2].part = MetricPart::test; }},
            {"epoch 1 after epoch 1", [](E& e) { e.epochs[1].epoch = 1; }},
            {"epoch is 0", [](E& e) { e.epochs[0].epoch = 0; }},
            {"learning_rate", [](E& e) { e.epochs[0].learning_rate = kNan; }},
            {"seconds", [](E& e) { e.epochs[0].seconds = -1; }},
            {"the metric 'accuracy' is -1",
             [](E& e) {
                 e.epochs[0].metrics = {{MetricPart::validation, "accuracy", -1}};
             }},
        });
}

// A command may report any number under any name.
TEST(MessageChecksTest, MetricsOfCommandsAreFiniteAndNamedOnce) {
    using E = AttemptEnded;
    AttemptEnded good = good_end();
    good.result->of_command = true;
    good.result->metrics = {{MetricPart::test, "f1", -2.5}, {MetricPart::validation, "f1", 3}};
    each_is_refused<E>(
        good,
        {
            {"the metric 'f1' is nan", [](E& e) { e.result->metrics[0].value = kNan; }},
            {"the metric 'f1' is inf", [](E& e) { e.result->metrics[1].value = kInfinite; }},
            {"the metric 'f1' is there twice", [](E& e) { e.result->metrics[1].part = MetricPart::test; }},
        });
}

TEST(MessageChecksTest, TheResultOfAnAttemptThatFailedIsNotLookedAt) {
    AttemptEnded ended = good_end();
    ended.cause = Cause::user_error;
    ended.result->total_seconds = kNan;
    EXPECT_FALSE(validate(ended));
}

TEST(MessageChecksTest, ReportsOutOfRangeAreRefused) {
    each_is_refused<Heartbeat>(Heartbeat{5, 6}, {
                                                    {"step", [](Heartbeat& beat) { beat.step = -1; }},
                                                    {"advances", [](Heartbeat& beat) { beat.advances = -1; }},
                                                });
    AttemptProgress progress{{JobId(7), 1}, {}};
    progress.progress.loss = kNan;
    each_is_refused<AttemptProgress>(
        progress,
        {
            {"progress.step is -1", [](AttemptProgress& p) { p.progress.step = -1; }},
            {"tokens_per_second", [](AttemptProgress& p) { p.progress.tokens_per_second = kInfinite; }},
        });
    each_is_refused<AttemptResumed>(
        AttemptResumed{{JobId(7), 3}, {2, 25, 40, 2, "step-25", kHash, 5}},
        {
            {"point.attempt is 4", [](AttemptResumed& r) { r.point.attempt = 4; }},
            {"point.step is 41", [](AttemptResumed& r) { r.point.step = 41; }},
            {"point.epochs", [](AttemptResumed& r) { r.point.epochs = -1; }},
            {"point.sha256", [](AttemptResumed& r) { r.point.sha256 = "x"; }},
        });
    each_is_refused<CheckpointWritten>(
        CheckpointWritten{{JobId(7), 3}, {3, 25, "step-25", kHash, 5}},
        {
            {"checkpoint.step", [](CheckpointWritten& c) { c.checkpoint.step = -25; }},
            {"checkpoint.bytes", [](CheckpointWritten& c) { c.checkpoint.bytes = -25; }},
            {"checkpoint.sha256", [](CheckpointWritten& c) { c.checkpoint.sha256 = "'; DROP TABLE jobs"; }},
        });
    each_is_refused<WorkerExited>(WorkerExited{"pilot-1", 1, 9, ""},
                                  {
                                      {"name", [](WorkerExited& e) { e.name = "a/b"; }},
                                      {"exit_code", [](WorkerExited& e) { e.exit_code = -1; }},
                                      {"signal", [](WorkerExited& e) { e.signal = 1000; }},
                                      {"step_state", [](WorkerExited& e) { e.step_state = "A\nB"; }},
                                  });
}

TEST(MessageChecksTest, WordsOfPeersAreCleaned) {
    EXPECT_EQ(cleaned("plain \xC3\xA4", 100, Lines::one), "plain \xC3\xA4");
    EXPECT_EQ(cleaned("a\nb\tc", 100, Lines::one), "a b c");
    EXPECT_EQ(cleaned("a\nb\tc\r", 100, Lines::several), "a\nb\tc ");
    EXPECT_EQ(cleaned("\x1b[31mred\x7f", 100, Lines::several), " [31mred ");
    EXPECT_EQ(cleaned("a\xff\xC2\x85z", 100, Lines::one), "a\xEF\xBF\xBD z");
    EXPECT_EQ(cleaned("0123456789", 8, Lines::one), "01234...");
    EXPECT_EQ(cleaned("\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4", 7, Lines::one), "\xC3\xA4\xC3\xA4...");
    EXPECT_EQ(cleaned(std::string(1'000'000, '\xff'), 1000, Lines::one).size(), 999U);
}

TEST(MessageChecksTest, AMessageSaysOfWhichAttemptItIs) {
    EXPECT_EQ(attempt_of(WorkerToCoordinator(AttemptEnded{{JobId(7), 2}, {}, "", {}})),
              (AttemptId{JobId(7), 2}));
    UploadOffer offer;
    offer.upload.attempt = {JobId(8), 1};
    EXPECT_EQ(attempt_of(WorkerToCoordinator(offer)), (AttemptId{JobId(8), 1}));
    EXPECT_EQ(attempt_of(WorkerToCoordinator(Heartbeat{})), std::nullopt);
    EXPECT_EQ(type_of(WorkerToCoordinator(offer)), "upload_offer");
}

// The coordinator refuses it for its version, in words that name it: nothing else of it is looked at.
TEST(MessageChecksTest, AHelloOfAnotherVersionIsNotLookedAt) {
    Hello hello = good_hello();
    hello.protocol_version = kProtocolVersion - 1;
    hello.name = "";
    hello.ranks = -1;
    EXPECT_FALSE(validate(hello));
}

TEST(MessageChecksTest, AUserNeedsNoName) {
    Hello hello;
    hello.role = Role::user;
    EXPECT_FALSE(validate(hello));
    hello.program_version = "1\n2";
    EXPECT_TRUE(validate(hello));
}

Lease good_lease() {
    Lease lease;
    lease.attempt = {JobId(7), 2};
    lease.checkpoints.resume_from = {{1, 25, "/c/step-25", kHash, 5}};
    return lease;
}

TEST(MessageChecksTest, WhatTheCoordinatorSendsIsCheckedToo) {
    each_is_refused<Lease>(
        good_lease(),
        {
            {"attempt.number is 0", [](Lease& lease) { lease.attempt.number = 0; }},
            {"config.train.learning_rate is nan",
             [](Lease& lease) { lease.config.train.learning_rate = kNan; }},
            {"config.model.attention_head_mask.share is inf",
             [](Lease& lease) { lease.config.model.attention_head_mask.share = kInfinite; }},
            {"resources.ranks is 0", [](Lease& lease) { lease.resources.ranks = 0; }},
            {"checkpoints.interval_seconds", [](Lease& lease) { lease.checkpoints.interval_seconds = -1; }},
            {"checkpoint.sha256", [](Lease& lease) { lease.checkpoints.resume_from[0].sha256 = "x"; }},
            {"models_folder", [](Lease& lease) { lease.models_folder = std::string(5000, '/'); }},
        });
    each_is_refused<Welcome>(Welcome{},
                             {
                                 {"heartbeat_interval_milliseconds is 0",
                                  [](Welcome& welcome) { welcome.heartbeat_interval_milliseconds = 0; }},
                                 {"attempt.job is -1",
                                  [](Welcome& welcome) {
                                      welcome.current = {{JobId(-1), 1}};
                                  }},
                             });
    each_is_refused<StartWorker>(StartWorker{"pilot-1", 2},
                                 {
                                     {"name", [](StartWorker& start) { start.name = "../x"; }},
                                     {"ranks is 0", [](StartWorker& start) { start.ranks = 0; }},
                                 });
    each_is_refused<StopWorker>(
        StopWorker{"pilot-1", 100},
        {
            {"grace_milliseconds is -1", [](StopWorker& stop) { stop.grace_milliseconds = -1; }},
        });
    JobsReply jobs;
    jobs.jobs.resize(1);
    jobs.jobs[0].job = JobId(1);
    each_is_refused<JobsReply>(
        jobs, {
                  {"left_out is -1", [](JobsReply& reply) { reply.left_out = -1; }},
                  {"accuracy is nan", [](JobsReply& reply) { reply.jobs[0].accuracy = kNan; }},
              });
}

}  // namespace
}  // namespace orchestrate
