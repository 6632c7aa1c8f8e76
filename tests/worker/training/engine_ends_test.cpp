// Jobs that cannot be trained, through the engine's door: what is said, and that the engine goes on.
#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <sys/resource.h>

#include "tests/worker/training/engine_fixture.h"

namespace orchestrate::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class EngineEndsTest : public EngineTest {
  protected:
    // The job is refused with a message that has all these parts, and a good one is trained afterwards.
    template <class... Parts>
    void expect_user_error(const Parts&... parts) {
        const AttemptOutcome outcome = run();
        EXPECT_EQ(outcome.cause, Cause::user_error) << outcome.message;
        EXPECT_THAT(outcome.message, AllOf(HasSubstr(parts)...));
        const AttemptRequest bad = request_;
        request_ = good_;
        EXPECT_EQ(run().cause, Cause::succeeded) << "the engine does not go on";
        request_ = bad;
    }
    void SetUp() override {
        EngineTest::SetUp();
        good_ = request_;
    }
    // Reads rows written as "class,size,weight".
    void use_rows(const std::string& rows) { use_data(write_file("bad.csv", "kind,size,weight\n" + rows)); }
    static std::string rows_of(const std::string& name, int count) {
        std::string rows;
        for (int row = 0; row < count; ++row) {
            rows += name + "," + std::to_string(row % 7) + "," + std::to_string(row % 11) + "\n";
        }
        return rows;
    }

    AttemptRequest good_;
};

std::int64_t address_space_bytes() {
    std::ifstream status("/proc/self/status");
    std::string word;
    std::int64_t kibibytes = 0;
    while (status >> word) {
        if (word == "VmSize:") {
            status >> kibibytes;
        }
    }
    return kibibytes * 1024;
}

// What this process may use beyond what it has, while it lives.
class AddressSpaceLimit {
  public:
    explicit AddressSpaceLimit(std::int64_t more_bytes) {
        getrlimit(RLIMIT_AS, &before_);
        rlimit limit = before_;
        limit.rlim_cur = static_cast<rlim_t>(address_space_bytes() + more_bytes);
        setrlimit(RLIMIT_AS, &limit);
    }
    ~AddressSpaceLimit() { setrlimit(RLIMIT_AS, &before_); }
    AddressSpaceLimit(const AddressSpaceLimit&) = delete;
    AddressSpaceLimit& operator=(const AddressSpaceLimit&) = delete;

  private:
    rlimit before_{};
};

TEST_F(EngineEndsTest, ARealLackOfMemoryIsToldWithWhatToDoOrMendedByARetry) {
#if defined(__SANITIZE_ADDRESS__)
    GTEST_SKIP() << "the sanitizer needs more addresses than the limit leaves";
#endif
    request_.config.model.hidden_size = 128;
    request_.config.model.intermediate_size = 512;
    request_.config.train.batch_size = 240;  // the whole training part at a time
    request_.config.train.epochs = 2;
    ASSERT_EQ(run().cause, Cause::succeeded);  // what stays in memory is there
    request_.config.model.num_hidden_layers = 12;
    double with_limit = 0;
    {
        const AddressSpaceLimit limit(160 << 20);
        AttemptOutcome outcome = run();
        EXPECT_EQ(outcome.cause, Cause::out_of_memory);
        EXPECT_THAT(outcome.message,
                    AllOf(HasSubstr("train.batch_size = 240"), HasSubstr("study.micro_batch_size = 0"),
                          HasSubstr("128 tokens"), HasSubstr("240 example(s) at a time"),
                          HasSubstr("set study.retry_out_of_memory")));
        request_.resources.retry_out_of_memory = true;
        observer_.log.clear();
        outcome = run();
        ASSERT_EQ(outcome.cause, Cause::succeeded) << outcome.message;
        ASSERT_FALSE(observer_.log.empty());
        EXPECT_THAT(observer_.log.front(), HasSubstr("going on with 120"));
        with_limit = observer_.epochs.back().train_loss;
    }
    ASSERT_EQ(run().cause, Cause::succeeded);
    EXPECT_NEAR(with_limit, observer_.epochs.back().train_loss, 1e-5);
}

TEST_F(EngineEndsTest, AFileWithoutRows) {
    use_rows("");
    expect_user_error("bad.csv", "rows");
}

TEST_F(EngineEndsTest, AnEmptyTrainingPart) {
    request_.config.data.split.train = 0;
    request_.config.data.split.validation = 0.5;
    request_.config.data.split.test = 0.5;
    expect_user_error("data.csv", "data.split", "train 0");
}

TEST_F(EngineEndsTest, OneClassOnly) {
    use_rows(rows_of("a", 50));
    expect_user_error("bad.csv", "'kind'", "one class");
}

TEST_F(EngineEndsTest, MoreClassesThanRows) {
    request_.config.data.max_rows = 3;
    std::string rows;
    for (const char* const name : {"a", "b", "c", "d", "e"}) {
        rows += rows_of(name, 10);
    }
    use_rows(rows);
    expect_user_error("bad.csv", "3 rows", "5 classes", "data.max_rows");
}

TEST_F(EngineEndsTest, AClassPerRow) {
    request_.config.data.split.stratify = false;
    std::string rows;
    for (int row = 0; row < 40; ++row) {
        rows += rows_of("class" + std::to_string(row), 1);
    }
    use_rows(rows);
    expect_user_error("bad.csv", "'kind'", "no row in the training part");
}

// With some seeds of the split its only row is none of the training part's.
TEST_F(EngineEndsTest, ALabelThatOnlyValidationOrTestHave) {
    request_.config.data.split.group_by = {{"artist", ""}};
    request_.config.data.split.stratify = false;
    std::string rows = "kind,size,weight,artist\n";
    for (int row = 0; row < 100; ++row) {
        rows += (row % 2 == 0 ? "a,1,2,p" : "b,3,4,q") + std::to_string(row) + "\n";
    }
    rows += "rare,5,6,one\n";
    use_data(write_file("bad.csv", rows));
    for (request_.config.data.split.seed = 0; request_.config.data.split.seed < 100;
         ++request_.config.data.split.seed) {
        if (run().cause != Cause::succeeded) {
            break;
        }
    }
    expect_user_error("bad.csv", "'kind'", "'rare'", "no row in the training part and 1 in");
}

TEST_F(EngineEndsTest, TextsLongerThanThePositions) {
    request_.config.model.max_position_embeddings = 6;
    expect_user_error("data.csv", "line ", "model.max_position_embeddings = 6", "tokenizer.max_length");
}

}  // namespace
}  // namespace orchestrate::test
