// Who may hold a database, told by the lock file: on this host by the kernel, on others by their heartbeat.
#include "coordinator/database/database_lock.h"

#include <csignal>
#include <fstream>
#include <functional>
#include <iterator>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/host.h"
#include "common/base/json.h"
#include "common/base/temporary_folder.h"
#include "common/base/time_text.h"
#include "coordinator/database/database_owner.h"
#include "results/schema.h"

namespace orchestrate {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class DatabaseLockTest : public testing::Test {
  protected:
    ~DatabaseLockTest() override {
        if (child_ > 0) {
            kill(child_, SIGKILL);
            waitpid(child_, nullptr, 0);
        }
    }

    std::filesystem::path database() const { return folder_ / "results.db"; }
    std::filesystem::path lock() const { return folder_ / "results.db.d" / "lock"; }

    std::string content() const {
        std::ifstream stream(lock());
        return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    }

    // Another process that does this and then lives on.
    void in_another_process(const std::function<void()>& work) {
        int ready[2];
        ASSERT_EQ(pipe(ready), 0);
        child_ = fork();
        if (child_ == 0) {
            work();
            [[maybe_unused]] const auto ignored = write(ready[1], "x", 1);
            while (true) {
                pause();
            }
        }
        close(ready[1]);
        char byte = 0;
        ASSERT_EQ(read(ready[0], &byte, 1), 1);
        close(ready[0]);
    }
    void kill_other_process() {
        kill(child_, SIGKILL);
        waitpid(child_, nullptr, 0);
        child_ = 0;
    }

    void leave_holder_of_another_host(int seconds_silent) {
        std::filesystem::create_directories(lock().parent_path());
        std::ofstream(lock()) << Json(LockHolder{"far-away", 4711, "2026-01-01T00:00:00.000Z"}).dump();
        make_silent(seconds_silent);
    }
    void make_silent(int seconds) {
        const timespec beat{time(nullptr) - seconds, 0};
        const timespec times[2] = {beat, beat};
        ASSERT_EQ(utimensat(AT_FDCWD, lock().c_str(), times, 0), 0);
    }

    std::string refusal(bool take_over = false) { return refusal(database(), take_over); }
    static std::string refusal(const std::filesystem::path& database, bool take_over = false) {
        try {
            const DatabaseLock taken(database, take_over);
        } catch (const UserError& error) {
            return error.what();
        }
        return "taken";
    }

    TemporaryFolder temporary_;
    const std::filesystem::path folder_ = temporary_.path();
    pid_t child_ = 0;
};

TEST_F(DatabaseLockTest, ASecondCoordinatorIsToldWhoHoldsItAndSinceWhen) {
    in_another_process([&] { new DatabaseLock(database()); });
    EXPECT_THAT(refusal(),
                AllOf(HasSubstr("process " + std::to_string(child_) + " on " + host_name() + " since 20"),
                      HasSubstr("orchestrate status")));
    EXPECT_THAT(refusal(true), HasSubstr("in use")) << "a living holder cannot be replaced";
}

TEST_F(DatabaseLockTest, AKilledHolderOnThisHostIsReplacedSilently) {
    in_another_process([&] { new DatabaseLock(database()); });
    kill_other_process();
    EXPECT_THAT(content(), HasSubstr("process_id"));
    EXPECT_EQ(refusal(), "taken");
}

TEST_F(DatabaseLockTest, AHolderThatEndedInOrderIsForgotten) {
    { const DatabaseLock held(database()); }
    EXPECT_EQ(content(), "");
}

TEST_F(DatabaseLockTest, ALivingHolderOnAnotherHostIsNeverReplaced) {
    leave_holder_of_another_host(10);
    for (const bool take_over : {false, true}) {
        EXPECT_THAT(refusal(take_over),
                    AllOf(HasSubstr("process 4711 on far-away since 2026-01-01T00:00:00.000Z"),
                          HasSubstr("heard of 1"), Not(HasSubstr("--take-over"))));
    }
}

TEST_F(DatabaseLockTest, ASilentHolderOnAnotherHostIsReplacedOnlyWhenAskedFor) {
    leave_holder_of_another_host(600);
    EXPECT_THAT(refusal(), AllOf(HasSubstr("far-away"), HasSubstr("10 min"), HasSubstr("--take-over")));
    EXPECT_THAT(content(), HasSubstr("far-away"));
    EXPECT_EQ(refusal(true), "taken");
}

TEST_F(DatabaseLockTest, ALockThatADeadHostNeverGaveUpIsReplacedToo) {
    // The other process stands for the file server, which still keeps the dead host's lock.
    in_another_process([&] { new DatabaseLock(database()); });
    leave_holder_of_another_host(600);
    EXPECT_THAT(refusal(), HasSubstr("--take-over"));
    DatabaseLock taken(database(), true);
    EXPECT_THAT(content(), HasSubstr(host_name()));
    EXPECT_NO_THROW(taken.heartbeat());
}

TEST_F(DatabaseLockTest, WhoeverWasReplacedHearsOfItAtTheNextHeartbeat) {
    DatabaseLock held(database());
    EXPECT_NO_THROW(held.heartbeat());
    std::filesystem::remove(lock());
    leave_holder_of_another_host(0);
    try {
        held.heartbeat();
        FAIL() << "it goes on";
    } catch (const UserError& error) {
        EXPECT_THAT(error.what(), HasSubstr("taken over by process 4711 on far-away"));
    }
}

TEST_F(DatabaseLockTest, ASymbolicLinkIsTheSameDatabase) {
    std::filesystem::create_symlink("results.db", folder_ / "link.db");
    in_another_process([&] { new DatabaseLock(database()); });
    EXPECT_THAT(refusal(folder_ / "link.db"), HasSubstr("process " + std::to_string(child_)));
    EXPECT_FALSE(std::filesystem::exists(folder_ / "link.db.d"));
}

TEST_F(DatabaseLockTest, AHardLinkIsRefused) {
    std::ofstream(database()).close();
    std::filesystem::create_hard_link(database(), folder_ / "second.db");
    EXPECT_THAT(refusal(), HasSubstr("2 names"));
    EXPECT_THAT(refusal(folder_ / "second.db"), HasSubstr("2 names"));
}

// As a bind mount of the file alone shows it: the directory beside it is another one.
TEST_F(DatabaseLockTest, TheFileItselfIsLocked) {
    in_another_process([&] { new DatabaseLock(database()); });
    std::filesystem::rename(database(), folder_ / "other.db");
    EXPECT_THAT(refusal(folder_ / "other.db"), HasSubstr("in use"));
}

class WatchedDatabaseTest : public DatabaseLockTest {
  protected:
    WatchedDatabaseTest() {
        SQLite::Database database(this->database().string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
        prepare_schema(database);
    }

    // What is said now, and again when a truncation has lasted.
    static std::string flaw(DatabaseLock& held) {
        const auto now = std::chrono::steady_clock::now();
        try {
            held.verify(now);
            held.verify(now + DatabaseLock::kTruncationGrace);
        } catch (const DatabaseGone& error) {
            return error.what();
        }
        return "none";
    }
};

TEST_F(WatchedDatabaseTest, ADatabaseThatIsLeftAloneIsInOrder) {
    DatabaseLock held(database());
    EXPECT_EQ(flaw(held), "none");
}

TEST_F(WatchedDatabaseTest, OneThatIsRemovedIsNoticed) {
    DatabaseLock held(database());
    std::filesystem::remove(database());
    EXPECT_THAT(flaw(held), HasSubstr("removed or moved"));
}

TEST_F(WatchedDatabaseTest, OneThatIsReplacedIsNoticed) {
    DatabaseLock held(database());
    std::filesystem::copy_file(database(), folder_ / "copy.db");
    std::filesystem::rename(folder_ / "copy.db", database());
    EXPECT_THAT(flaw(held), HasSubstr("replaced"));
}

TEST_F(WatchedDatabaseTest, ARemovedDirectoryIsNoticed) {
    DatabaseLock held(database());
    std::filesystem::remove_all(folder_ / "results.db.d");
    EXPECT_THAT(flaw(held), HasSubstr("results.db.d' was removed"));
}

TEST_F(WatchedDatabaseTest, ATruncatedFileIsNoticedUnlessItIsWholeAgainSoon) {
    DatabaseLock held(database());
    const auto size = std::filesystem::file_size(database());
    const auto now = std::chrono::steady_clock::now();
    std::filesystem::resize_file(database(), size - 4096);
    EXPECT_NO_THROW(held.verify(now));
    std::filesystem::resize_file(database(), size);
    EXPECT_NO_THROW(held.verify(now + DatabaseLock::kTruncationGrace));
    std::filesystem::resize_file(database(), 0);
    EXPECT_THAT(flaw(held), HasSubstr("truncated"));
}

TEST_F(WatchedDatabaseTest, AnOwnerOnAnotherHostIsKnownFromTheDatabaseItself) {
    const auto claim_as_another_host = [&](const std::string& heartbeat) {
        SQLite::Database database(this->database().string(), SQLite::OPEN_READWRITE);
        claim_database(database, place_of(this->database()), heartbeat);
        database.exec("UPDATE database_owner SET host = 'far-away', process_id = 4711");
    };
    claim_as_another_host("2000-01-01T00:00:00.000Z");
    EXPECT_THAT(refusal(), AllOf(HasSubstr("process 4711 on far-away"), HasSubstr("--take-over")));
    EXPECT_EQ(refusal(true), "taken");
    claim_as_another_host("2999-01-01T00:00:00.000Z");
    EXPECT_THAT(refusal(), HasSubstr("--take-over")) << "its clock was wrong";
    claim_as_another_host(utc_now_text());
    EXPECT_THAT(refusal(true), AllOf(HasSubstr("process 4711 on far-away"), Not(HasSubstr("--take-over"))));
    // A copy has nobody.
    std::filesystem::copy_file(database(), folder_ / "copy.db");
    EXPECT_EQ(refusal(folder_ / "copy.db"), "taken");
}

class StateDirectoryTest : public DatabaseLockTest {
  protected:
    StateDirectoryTest() { std::filesystem::create_directory(directory_); }
    const std::filesystem::path directory_ = folder_ / "results.db.d";
};

TEST_F(StateDirectoryTest, OneThatOthersCanWriteToIsRefusedWithTheFix) {
    chmod(directory_.c_str(), 0770);
    EXPECT_THAT(refusal(), HasSubstr("chmod 700 '" + directory_.string() + "'"));
    chmod(directory_.c_str(), 0700);
    EXPECT_EQ(refusal(), "taken");
}

TEST_F(StateDirectoryTest, OneOfAnotherUserIsRefusedWithTheFix) {
    constexpr uid_t kOther = 54321;
    if (chown(directory_.c_str(), kOther, static_cast<gid_t>(-1)) != 0) {
        GTEST_SKIP() << "needs root";
    }
    EXPECT_THAT(refusal(), AllOf(HasSubstr("user number 54321"), HasSubstr("chown")));
    EXPECT_FALSE(std::filesystem::exists(database()));
    // root may use what belongs to one other user as a whole.
    std::ofstream(database()).close();
    ASSERT_EQ(chown(database().c_str(), kOther, static_cast<gid_t>(-1)), 0);
    EXPECT_EQ(refusal(), "taken");
}

TEST_F(StateDirectoryTest, LinksAreRefused) {
    std::filesystem::create_directory(folder_ / "elsewhere");
    std::filesystem::create_directory_symlink(folder_ / "elsewhere", directory_ / "checkpoints");
    EXPECT_THAT(refusal(), HasSubstr("checkpoints' is a symbolic link"));
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directory_symlink(folder_ / "elsewhere", directory_);
    EXPECT_THAT(refusal(), HasSubstr("results.db.d' is a symbolic link"));
}

TEST_F(DatabaseLockTest, HeartbeatsMakeTheLockYoung) {
    DatabaseLock held(database());
    make_silent(600);
    held.heartbeat();
    struct stat status {};
    ASSERT_EQ(stat(lock().c_str(), &status), 0);
    EXPECT_LT(time(nullptr) - status.st_mtime, 60);
}

}  // namespace
}  // namespace orchestrate
