// The log of an attempt has a bound: its beginning and its end are kept.
#include "worker/agent/bounded_log.h"

#include <fstream>
#include <sstream>

#include <gmock/gmock.h>

#include "common/base/temporary_folder.h"

namespace orchestrate {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class BoundedLogs : public ::testing::Test {
  protected:
    std::string content() const {
        std::ostringstream text;
        text << std::ifstream(file_).rdbuf();
        return text.str();
    }

    TemporaryFolder folder_;
    std::filesystem::path file_ = folder_.path() / "job.log";
    Log log_ = open_log("attempt", file_);
};

TEST_F(BoundedLogs, KeepTheirBeginningAndTheirEnd) {
    constexpr std::int64_t kLimit = 100'000;
    BoundedLog log(log_, kLimit);
    for (int i = 0; i < 20'000; ++i) {
        log.add("line " + std::to_string(i) + ".");
    }
    EXPECT_THAT(content(), AllOf(HasSubstr("line 0."), HasSubstr("reached its limit")));
    log.finish();
    log.add("how it ended");
    EXPECT_THAT(content(), AllOf(HasSubstr("line 19999."), HasSubstr("are left out here"),
                                 Not(HasSubstr("line 10000.")), HasSubstr("how it ended")));
    EXPECT_LT(content().size(), kLimit + 1000);
    EXPECT_GT(content().size(), kLimit / 2);
}

TEST_F(BoundedLogs, LongLinesCountByTheirBytes) {
    BoundedLog log(log_, 10'000);
    for (int i = 0; i < 10; ++i) {
        log.add(std::string(1'000'000, 'x'));
    }
    log.finish();
    EXPECT_LT(content().size(), 11'000U);
}

TEST_F(BoundedLogs, ThatAreShortAreWhole) {
    BoundedLog log(log_, 100'000);
    log.add("one");
    log.add("two {}");
    log.finish();
    EXPECT_THAT(content(), AllOf(HasSubstr("one\n"), HasSubstr("two {}\n"), Not(HasSubstr("left out"))));
}

}  // namespace
}  // namespace orchestrate
