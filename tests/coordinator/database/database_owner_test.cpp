// Which database a file is: the one that was recorded, moved, or a copy; and which coordinator has it.
#include "coordinator/database/database_owner.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/error.h"
#include "common/base/temporary_folder.h"
#include "results/schema.h"

namespace orchestrate {
namespace {

namespace fs = std::filesystem;

class DatabaseOwnerTest : public testing::Test {
  protected:
    static SQLite::Database open(const fs::path& path) {
        SQLite::Database database(path.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
        prepare_schema(database);
        return database;
    }

    // As a coordinator that opens the file and ends.
    static DatabaseClaim claim(const fs::path& path) {
        SQLite::Database database = open(path);
        return claim_database(database, place_of(resolve_database(path)), "2026-01-01T00:00:00.000Z");
    }

    static std::string text(const fs::path& path, const std::string& sql) {
        return open(path).execAndGet(sql).getString();
    }

    TemporaryFolder temporary_;
    const fs::path folder_ = temporary_.path();
};

TEST_F(DatabaseOwnerTest, ADatabaseKeepsItsIdentity) {
    const auto first = claim(folder_ / "r.db");
    EXPECT_EQ(first.identity.id.size(), 32U);
    EXPECT_EQ(first.identity.copied_from, "");
    const auto second = claim(folder_ / "r.db");
    EXPECT_EQ(second.identity.id, first.identity.id);
    EXPECT_FALSE(second.copy_of);
    EXPECT_NE(second.token, first.token);
}

TEST_F(DatabaseOwnerTest, OneThatWasMovedKeepsItAndItsStoredPathsFollow) {
    fs::create_directories(folder_ / "a");
    const auto first = claim(folder_ / "a/r.db");
    const std::string old_directory = (folder_ / "a/r.db.d").string();
    open(folder_ / "a/r.db")
        .exec("PRAGMA foreign_keys = OFF; INSERT INTO models VALUES (1, '" + old_directory +
              "/models/x', 'x', 1, 'now');"
              "INSERT INTO workers VALUES (1, 'w', '', 'h', 1, 1, 0, 'cpu', '" +
              old_directory + "/logs/w.log', 'now', NULL, '');" +
              "INSERT INTO workers VALUES (2, 'v', '', 'h', 1, 1, 0, 'cpu', '/elsewhere/v.log', 'now', NULL, "
              "'')");
    fs::rename(folder_ / "a", folder_ / "b");
    const auto moved = claim(folder_ / "b/r.db");
    EXPECT_EQ(moved.identity.id, first.identity.id);
    EXPECT_FALSE(moved.copy_of);
    const std::string directory = (folder_ / "b/r.db.d").string();
    EXPECT_EQ(text(folder_ / "b/r.db", "SELECT folder FROM models"), directory + "/models/x");
    EXPECT_EQ(text(folder_ / "b/r.db", "SELECT log_file FROM workers WHERE id = 1"),
              directory + "/logs/w.log");
    EXPECT_EQ(text(folder_ / "b/r.db", "SELECT log_file FROM workers WHERE id = 2"), "/elsewhere/v.log");
}

TEST_F(DatabaseOwnerTest, ACopyGetsAnIdentityOfItsOwnOnce) {
    const auto original = claim(folder_ / "r.db");
    fs::copy_file(folder_ / "r.db", folder_ / "copy.db");
    const auto copy = claim(folder_ / "copy.db");
    EXPECT_NE(copy.identity.id, original.identity.id);
    EXPECT_EQ(copy.identity.copied_from, original.identity.id);
    ASSERT_TRUE(copy.copy_of);
    EXPECT_EQ(copy.copy_of->path, (folder_ / "r.db").string());
    const auto again = claim(folder_ / "copy.db");
    EXPECT_EQ(again.identity.id, copy.identity.id);
    EXPECT_FALSE(again.copy_of);
    EXPECT_EQ(claim(folder_ / "r.db").identity.id, original.identity.id);
}

TEST_F(DatabaseOwnerTest, AnotherFileOfTheSameNameIsACopyToo) {
    const auto original = claim(folder_ / "r.db");
    fs::copy_file(folder_ / "r.db", folder_ / "restored.db");
    fs::rename(folder_ / "r.db", folder_ / "aside.db");
    fs::rename(folder_ / "restored.db", folder_ / "r.db");
    EXPECT_NE(claim(folder_ / "r.db").identity.id, original.identity.id);
    EXPECT_EQ(claim(folder_ / "aside.db").identity.id, original.identity.id);
}

TEST_F(DatabaseOwnerTest, WhoeverWasReplacedCannotRenewItsClaim) {
    const auto first = claim(folder_ / "r.db");
    SQLite::Database database = open(folder_ / "r.db");
    EXPECT_TRUE(renew_claim(database, first.token, "2026-01-01T00:00:10.000Z"));
    EXPECT_EQ(read_owner(database)->heartbeat_at, "2026-01-01T00:00:10.000Z");
    const auto second = claim(folder_ / "r.db");
    EXPECT_FALSE(renew_claim(database, first.token, "2026-01-01T00:00:20.000Z"));
    release_claim(database, first.token);
    EXPECT_EQ(read_owner(database)->token, second.token);
    release_claim(database, second.token);
    EXPECT_FALSE(read_owner(database));
}

TEST_F(DatabaseOwnerTest, SilenceIsCountedFromTheLastHeartbeat) {
    DatabaseOwner owner;
    owner.heartbeat_at = "1970-01-02T00:00:30.500Z";
    const auto day = std::chrono::system_clock::time_point(std::chrono::hours(24));
    EXPECT_EQ(silence_of(owner, day + std::chrono::seconds(100))->count(), 70);
    EXPECT_EQ(silence_of(owner, day)->count(), 30) << "a clock that is behind";
    owner.heartbeat_at = "2999-01-01T00:00:00.000Z";
    EXPECT_GT(silence_of(owner, day)->count(), 86'400) << "a clock that was wrong";
    owner.heartbeat_at = "never";
    EXPECT_FALSE(silence_of(owner, day));
}

TEST_F(DatabaseOwnerTest, LinksLeadToTheFileAndASecondNameIsRefused) {
    fs::create_directories(folder_ / "real");
    fs::create_directory_symlink(folder_ / "real", folder_ / "way");
    fs::create_symlink("way/r.db", folder_ / "link.db");
    EXPECT_EQ(resolve_database(folder_ / "link.db"), folder_ / "real/r.db") << "also before there is a file";
    std::ofstream(folder_ / "real/r.db") << "x";
    EXPECT_EQ(resolve_database(folder_ / "link.db"), folder_ / "real/r.db");
    EXPECT_EQ(place_of(folder_ / "real/r.db").path, (folder_ / "real/r.db").string());
    fs::create_hard_link(folder_ / "real/r.db", folder_ / "second.db");
    EXPECT_THROW(place_of(folder_ / "real/r.db"), UserError);
    EXPECT_THROW(place_of(folder_ / "second.db"), UserError);
    fs::create_symlink("loop-b", folder_ / "loop-a");
    fs::create_symlink("loop-a", folder_ / "loop-b");
    EXPECT_THROW(resolve_database(folder_ / "loop-a"), UserError);
    EXPECT_THROW(place_of(folder_), UserError);
}

TEST_F(DatabaseOwnerTest, BetweenHostsTheInodeCounts) {
    const DatabasePlace recorded{"a", "/home/r.db", 7, 42};
    EXPECT_TRUE(is_same_file(recorded, {"a", "/home/r.db", 8, 42})) << "mounted again";
    EXPECT_TRUE(is_same_file(recorded, {"a", "/other/r.db", 7, 42})) << "moved";
    EXPECT_TRUE(is_same_file(recorded, {"b", "/mnt/home/r.db", 9, 42})) << "another host's mount";
    EXPECT_FALSE(is_same_file(recorded, {"a", "/other/r.db", 8, 42})) << "a copy on another disk";
    EXPECT_FALSE(is_same_file(recorded, {"a", "/home/r.db", 7, 43})) << "replaced";
    EXPECT_FALSE(is_same_file(recorded, {"b", "/home/r.db", 9, 43})) << "a copy on another host";
}

}  // namespace
}  // namespace orchestrate
