// The training engine through its door, as the agent uses it: opened by dlopen, jobs one after another.
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>

#include "losses.h"
#include "tests/worker/training/engine_fixture.h"
#include "tests/worker/training/model_folder.h"

namespace orchestrate::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST_F(EngineTest, TrainsFromAFileAndReportsTheAttempt) {
    const AttemptOutcome outcome = run();
    ASSERT_EQ(outcome.cause, Cause::succeeded) << outcome.message;
    EXPECT_EQ(observer_.epochs.size(), 3U);
    EXPECT_THAT(engine_->device_class(), StartsWith("cpu "));
    EXPECT_EQ(outcome.result.device_class, engine_->device_class());
    EXPECT_EQ(outcome.result.classes, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(
        outcome.result.data.train_rows + outcome.result.data.validation_rows + outcome.result.data.test_rows,
        300);
    EXPECT_GT(outcome.result.peak_memory_bytes, 10 << 20);
    EXPECT_GE(outcome.result.total_seconds, outcome.result.train_seconds);
    EXPECT_FALSE(outcome.result.data.example_text.empty());
}

TEST_F(EngineTest, AJobAgainGivesTheSameNumbersFromDataInMemory) {
    const AttemptOutcome first = run();
    const auto first_epochs = observer_.epochs;
    std::filesystem::remove(request_.paths.data);  // what is in memory needs no file
    const AttemptOutcome second = run();
    ASSERT_EQ(second.cause, Cause::succeeded) << second.message;
    EXPECT_EQ(test_loss(first.result), test_loss(second.result));
    EXPECT_EQ(first_epochs.back().train_loss, observer_.epochs.back().train_loss);
    EXPECT_EQ(first.result.test_predictions.probability, second.result.test_predictions.probability);
}

TEST_F(EngineTest, MistakesAreUserErrorsAndTheEngineGoesOn) {
    request_.paths.data = folder_ / "nowhere.csv";
    AttemptOutcome outcome = run();
    EXPECT_EQ(outcome.cause, Cause::user_error);
    EXPECT_THAT(outcome.message, HasSubstr("nowhere.csv"));

    request_.paths.data = write_data("data.csv", 300);
    request_.config.data.features = {"size", "wait"};
    outcome = run();
    EXPECT_EQ(outcome.cause, Cause::user_error);
    EXPECT_THAT(outcome.message, HasSubstr("wait"));

    request_.config.data.features = {"size"};
    EXPECT_EQ(run().cause, Cause::succeeded);
}

TEST_F(EngineTest, PretrainedWeightsStayInMemoryAndAreKnownByTheirContent) {
    const ModelFolder model(folder_ / "model", "roberta", 2,
                            {{"vocab_size", 600}, {"max_position_embeddings", 80}});
    request_.paths.pretrained = model.path;
    request_.config.model.pretrained_sha256 = sha256_hex_of_pretrained(model.path);
    request_.config.model.head_width = 32;
    const AttemptOutcome first = run();
    ASSERT_EQ(first.cause, Cause::succeeded) << first.message;
    EXPECT_THAT(observer_.log, testing::ElementsAre(HasSubstr("started from the weights in")));

    request_.config.model.pretrained_sha256.clear();
    const AttemptOutcome scratch = run();
    EXPECT_NE(test_loss(scratch.result), test_loss(first.result));

    request_.config.model.pretrained_sha256 = sha256_hex_of_pretrained(model.path);
    std::filesystem::remove(model.path / "model.safetensors");  // what is in memory needs no file
    EXPECT_EQ(test_loss(run().result), test_loss(first.result));

    model.write();
    request_.config.model.pretrained_sha256 = std::string(64, '0');
    const AttemptOutcome other = run();
    EXPECT_EQ(other.cause, Cause::user_error);
    EXPECT_THAT(other.message, HasSubstr("has the SHA-256"));
    request_.paths.pretrained.clear();
    EXPECT_THAT(run().message, HasSubstr("model.pretrained"));
}

TEST_F(EngineTest, AModelThatDoesNotFitInMemoryIsOutOfMemory) {
    request_.config.model.hidden_size = 1 << 20;
    request_.config.model.intermediate_size = 1 << 22;
    const AttemptOutcome outcome = run();
    EXPECT_EQ(outcome.cause, Cause::out_of_memory);
    EXPECT_THAT(outcome.message, HasSubstr("batch_size"));
    request_.config = synthetic_job();
}

TEST_F(EngineTest, TextsAreWritten) {
    engine_->write_texts(request_.config, request_.paths, folder_ / "texts.csv");
    std::ifstream file(folder_ / "texts.csv");
    std::string line;
    int lines = 0;
    while (std::getline(file, line)) {
        ++lines;
    }
    EXPECT_EQ(lines, 301);
}

}  // namespace
}  // namespace orchestrate::test
