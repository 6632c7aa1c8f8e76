// The results database is created, recognised, kept up to date, and nothing else is ever touched.
#include "results/schema.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/temporary_folder.h"

namespace orchestrate {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const int kReadWrite = SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE;

class SchemaTest : public ::testing::Test {
  protected:
    std::string path() const { return (folder_ / "results.db").string(); }

    std::string bytes() const {
        std::ifstream stream(path(), std::ios::binary);
        return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    }

    void make_database(const std::string& sql) const { SQLite::Database(path(), kReadWrite).exec(sql); }

    // The message of the refusal; the file must be as before, and its name must be in the message.
    std::string refusal() const {
        const std::string before = bytes();
        std::string message;
        try {
            SQLite::Database database(path(), kReadWrite);
            prepare_schema(database);
            ADD_FAILURE() << "was accepted";
        } catch (const UserError& error) {
            message = error.what();
        }
        EXPECT_EQ(bytes(), before) << "the refused file was changed";
        EXPECT_THAT(message, HasSubstr(path()));
        return message;
    }

    TemporaryFolder parent_;
    std::filesystem::path folder_ = parent_.path();
};

TEST_F(SchemaTest, CreatesTablesAndViewsWithVersionAndOwner) {
    SQLite::Database database(path(), kReadWrite);
    prepare_schema(database);
    EXPECT_EQ(database.execAndGet("PRAGMA user_version").getInt(), kSchemaVersion);
    EXPECT_EQ(database.execAndGet("PRAGMA application_id").getInt(), 0x4F524348);
    EXPECT_EQ(database.execAndGet("PRAGMA foreign_keys").getInt(), 1);
    EXPECT_EQ(database.execAndGet("SELECT count(*) FROM predictions").getInt(), 0);
    EXPECT_EQ(database.execAndGet("SELECT count(*) FROM comparison").getInt(), 0);
    EXPECT_THROW(database.exec("INSERT INTO stages VALUES (1, 99, 0, 'a', 'ablation', 'macro_f1')"),
                 SQLite::Exception);
}

TEST_F(SchemaTest, EveryViewCanBeRead) {
    SQLite::Database database(path(), kReadWrite);
    prepare_schema(database);
    SQLite::Statement views(database, "SELECT name FROM sqlite_schema WHERE type = 'view'");
    int count = 0;
    while (views.executeStep()) {
        const std::string name = views.getColumn(0).getString();
        EXPECT_NO_THROW(SQLite::Statement(database, "SELECT * FROM " + name).executeStep()) << name;
        ++count;
    }
    EXPECT_GE(count, 8);
}

TEST_F(SchemaTest, TheBaselineOfAStageIsFoundWithoutReadingItsOtherVariants) {
    SQLite::Database database(path(), kReadWrite);
    prepare_schema(database);
    SQLite::Statement plan(
        database,
        "EXPLAIN QUERY PLAN SELECT id FROM variants WHERE stage_id = 1 AND is_baseline = 1 "
        "AND hidden = 0 ORDER BY position");
    ASSERT_TRUE(plan.executeStep());
    EXPECT_THAT(plan.getColumn(3).getString(),
                HasSubstr("variants_by_stage (stage_id=? AND is_baseline=? AND hidden=?)"));
    EXPECT_FALSE(plan.executeStep());  // nothing is sorted
}

TEST_F(SchemaTest, ADatabaseHasOneIdentityAndOneOwner) {
    SQLite::Database database(path(), kReadWrite);
    prepare_schema(database);
    const std::string identity =
        "INSERT INTO database_identity (only_row, id, created_at, host, path, device, inode) VALUES ";
    database.exec(identity + "(1, 'ab', 'now', 'here', '/r.db', 1, 2)");
    EXPECT_THROW(database.exec(identity + "(2, 'cd', 'now', 'here', '/r.db', 1, 2)"), SQLite::Exception);
    const std::string owner = "INSERT INTO database_owner VALUES ";
    database.exec(owner + "(1, 'token', 'here', 7, 'now', 'now')");
    EXPECT_THROW(database.exec(owner + "(2, 'token', 'here', 8, 'now', 'now')"), SQLite::Exception);
}

TEST_F(SchemaTest, KeepsAnExistingDatabaseByteForByte) {
    {
        SQLite::Database database(path(), kReadWrite);
        prepare_schema(database);
        database.exec(
            "INSERT INTO studies (id, name, file, toml, state, created_at) VALUES (1, 'a', '/a.toml', '', "
            "'running', 'now')");
    }
    const std::string before = bytes();
    SQLite::Database database(path(), kReadWrite);
    prepare_schema(database);
    EXPECT_EQ(database.execAndGet("SELECT name FROM studies").getString(), "a");
    EXPECT_EQ(bytes(), before);
}

TEST_F(SchemaTest, ReplacesViewsOfAnOlderProgramAndKeepsThoseOfPeople) {
    {
        SQLite::Database database(path(), kReadWrite);
        prepare_schema(database);
        database.exec(
            "DROP VIEW comparison; CREATE VIEW comparison AS SELECT 'old' AS study;"
            "CREATE VIEW mine AS SELECT 42 AS answer;");
    }
    SQLite::Database database(path(), kReadWrite);
    prepare_schema(database);
    EXPECT_EQ(database.execAndGet("SELECT count(*) FROM comparison").getInt(), 0);
    EXPECT_EQ(database.execAndGet("SELECT answer FROM mine").getInt(), 42);
}

TEST_F(SchemaTest, ChecksAReadOnlyDatabaseWithoutWriting) {
    {
        SQLite::Database database(path(), kReadWrite);
        prepare_schema(database);
        database.exec("DROP VIEW comparison");
    }
    const std::string before = bytes();
    SQLite::Database database(path(), SQLite::OPEN_READONLY);
    EXPECT_NO_THROW(prepare_schema(database));
    EXPECT_EQ(bytes(), before);
}

TEST_F(SchemaTest, RefusesAnEmptyReadOnlyDatabase) {
    const std::ofstream empty(path());
    SQLite::Database database(path(), SQLite::OPEN_READONLY);
    EXPECT_THROW(prepare_schema(database), UserError);
}

TEST_F(SchemaTest, RefusesANewerDatabaseUntouched) {
    {
        SQLite::Database database(path(), kReadWrite);
        prepare_schema(database);
        database.exec("PRAGMA user_version = 1000");
    }
    EXPECT_THAT(refusal(), AllOf(HasSubstr("newer"), HasSubstr("version 1000"),
                                 HasSubstr("up to " + std::to_string(kSchemaVersion)), HasSubstr("--db")));
}

TEST_F(SchemaTest, RefusesANewerDatabaseInWriteAheadModeUntouched) {
    // A copy of a living database: its last commits lie in the log beside it, and stay there.
    SQLite::Database living((folder_ / "living.db").string(), kReadWrite);
    prepare_schema(living);
    living.exec("PRAGMA journal_mode = WAL; PRAGMA user_version = 1000");
    std::filesystem::copy_file(folder_ / "living.db", path());
    std::filesystem::copy_file(folder_ / "living.db-wal", path() + "-wal");
    EXPECT_THAT(refusal(), HasSubstr("version 1000"));
}

TEST_F(SchemaTest, RefusesTheDatabaseOfAnotherProgramUntouched) {
    make_database("CREATE TABLE bookmarks (url TEXT); INSERT INTO bookmarks VALUES ('x')");
    EXPECT_THAT(refusal(),
                AllOf(HasSubstr("no results database"), HasSubstr("bookmarks"), HasSubstr("--db")));
}

TEST_F(SchemaTest, RefusesAnotherApplicationIdUntouched) {
    make_database("PRAGMA application_id = 252006; CREATE TABLE a (b)");
    EXPECT_THAT(refusal(), HasSubstr("252006"));
}

TEST_F(SchemaTest, RefusesAVersionWithoutTablesUntouched) {
    make_database("PRAGMA user_version = 3");
    EXPECT_THAT(refusal(), HasSubstr("user_version 3"));
}

TEST_F(SchemaTest, RefusesAFileThatIsNoDatabaseUntouched) {
    std::ofstream(path()) << "track_id,popularity,energy\n" << std::string(2000, 'x');
    EXPECT_THAT(refusal(), HasSubstr("not an SQLite database"));
}

}  // namespace
}  // namespace orchestrate
