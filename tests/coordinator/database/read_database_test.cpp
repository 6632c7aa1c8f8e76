// A database of an older version is read as one of today's, and stays as it is.
#include "coordinator/database/read_database.h"

#include <fstream>
#include <iterator>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/temporary_folder.h"
#include "coordinator/database/database_lock.h"
#include "results/schema.h"
#include "results/tables.h"

namespace orchestrate {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string bytes_of(const std::filesystem::path& path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

TEST(ReadDatabaseTest, AnOlderVersionIsReadWithoutBeingChanged) {
    const TemporaryFolder folder;
    const auto path = folder.path() / "results.db";
    {
        SQLite::Database database(path.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
        database.exec("PRAGMA journal_mode = WAL");
        database.exec(bytes_of(std::string(ORCHESTRATE_SOURCE_DIR) + "/tests/results/version_1_schema.sql"));
        database.exec("PRAGMA application_id = " + std::to_string(kApplicationId));
        database.exec("PRAGMA user_version = 1");
        database.exec(
            "INSERT INTO studies VALUES (1, 'old', '/s.toml', 'text', 'finished', 't1', 't9');"
            "INSERT INTO stages VALUES (1, 1, 0, 'ablation', 'ablation', 'macro_f1');"
            "INSERT INTO variants VALUES (1, 1, 0, 'baseline', '', 1, '{}', 0);"
            "INSERT INTO jobs VALUES (7, 'abc', '{}', '{}', 2, 'succeeded', 1, 't2', 't8');"
            "INSERT INTO variant_jobs VALUES (1, 7, 0, 3, 4);"
            "INSERT INTO results VALUES (7, 2, 1, 100, 1, 2, 3, 'cpu', 2, 0, 'sha', '{}', '[\"a\"]');"
            "INSERT INTO part_metrics VALUES (7, 'test', 10, 0.5, 0.75, 0.5, 0.5, 0.625, 0.5, 0.5, 0.5, "
            "0.5);");
    }
    const std::string before = bytes_of(path);
    {
        auto database = open_to_read(path);
        const auto text = render_comparison(database, "old", std::nullopt, 80, OutputFormat::table);
        EXPECT_NE(text.find("75.0"), std::string::npos) << text;
    }
    EXPECT_EQ(bytes_of(path), before);
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
        EXPECT_EQ(entry.path().filename().string().find("version"), std::string::npos);
    }
}

std::string refusal_of(const std::filesystem::path& path) {
    try {
        open_to_read(path);
    } catch (const UserError& error) {
        return error.what();
    }
    return "";
}

TEST(ReadDatabaseTest, WhatIsNotOrchestratesIsRefusedInWords) {
    const TemporaryFolder folder;
    const auto foreign = folder.path() / "foreign.db";
    SQLite::Database(foreign.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE)
        .exec("CREATE TABLE studies (a)");
    EXPECT_THAT(refusal_of(foreign),
                AllOf(HasSubstr("is no results database of orchestrate"), HasSubstr("(studies)")));
    EXPECT_THROW(refuse_foreign_database(foreign), UserError);
    const auto empty = folder.path() / "empty.db";
    std::ofstream(empty).flush();
    EXPECT_THAT(refusal_of(empty), HasSubstr("is empty: there are no results in it yet"));
    EXPECT_NO_THROW(refuse_foreign_database(empty));
    const auto table = folder.path() / "data.csv";
    std::ofstream(table) << "a,b\n1,2\n";
    EXPECT_THROW(refuse_foreign_database(table), UserError);
    EXPECT_THROW(refuse_foreign_database(folder.path()), UserError);
    EXPECT_THROW(DatabaseLock lock(table), UserError);
    EXPECT_FALSE(std::filesystem::exists(folder.path() / "data.csv.d"));
    EXPECT_NO_THROW(refuse_foreign_database(folder.path() / "new.db"));
    EXPECT_FALSE(std::filesystem::exists(folder.path() / "new.db"));
}

TEST(ReadDatabaseTest, WhoHasItCanBeSeenWithoutTakingIt) {
    const TemporaryFolder folder;
    const auto path = folder.path() / "results.db";
    EXPECT_FALSE(DatabaseLock::is_held(path));
    EXPECT_FALSE(std::filesystem::exists(folder.path() / "results.db.d"));
    { const DatabaseLock lock(path); }
    EXPECT_FALSE(DatabaseLock::is_held(path));
}

}  // namespace
}  // namespace orchestrate
