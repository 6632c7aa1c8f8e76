// A database of schema version 1 becomes one of today's, with all its rows, and a copy of it stays.
#include "results/migration.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/sha256.h"
#include "common/base/temporary_folder.h"
#include "common/job/job_config.h"
#include "common/metrics/training_metrics.h"
#include "results/embedded_sql.h"
#include "results/schema.h"

namespace orchestrate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const int kReadWrite = SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE;

std::string file_text(const std::filesystem::path& path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

// A study of one variant whose job succeeded at its second attempt, with a row in every table.
constexpr const char* kRows =
    "INSERT INTO studies VALUES (1, 's', '/s.toml', 'text', 'finished', 't1', 't9');"
    "INSERT INTO stages VALUES (1, 1, 0, 'ablation', 'ablation', 'macro_f1');"
    "INSERT INTO variants VALUES (1, 1, 0, 'baseline', '', 1, '{}', 0);"
    "INSERT INTO jobs VALUES (7, 'abc', '{\"seed\": 1}', '{}', 2, 'succeeded', 1, 't2', 't8');"
    "INSERT INTO variant_jobs VALUES (1, 7, 0, 3, 4);"
    "INSERT INTO attempts VALUES (7, 1, 'here-1', 'host', 'cpu', 2, 't3', 't4', 'worker_crashed', 'm', "
    "'/log');"
    "INSERT INTO attempts VALUES (7, 2, 'here-2', 'host', 'cpu', 2, 't5', 't8', 'succeeded', '', '/log2');"
    "INSERT INTO epochs VALUES (7, 1, 2, 0.5, 0.1, 1, 2, 0.25, 0.75, 0.5, 0.5, 0.5);"
    "INSERT INTO results VALUES (7, 2, 1, 100, 1, 2, 3, 'cpu', 2, 0, 'sha', '{}', '[\"a\"]');"
    "INSERT INTO part_metrics VALUES (7, 'test', 10, 0.5, 0.75, 0.5, 0.5, 0.625, 0.5, 0.5, 0.5, 0.5);"
    "INSERT INTO class_metrics VALUES (7, 0, 'a', 0.5, 0.25, 0.125, 4);"
    "INSERT INTO confusion VALUES (7, 0, 0, 4);"
    "INSERT INTO predictions VALUES (7, 2, 0, 0, 0.75);"
    "INSERT INTO workers VALUES (1, 'here-1', 'host', 11, 2, 'cpu', '/w', 't3', 't4', 'gone');";

class MigrationTest : public ::testing::Test {
  protected:
    MigrationTest() {
        SQLite::Database database(path(), kReadWrite);
        database.exec("PRAGMA journal_mode = WAL");
        database.exec(file_text(std::string(ORCHESTRATE_SOURCE_DIR) + "/tests/results/version_1_schema.sql"));
        database.exec(kViewsSql);
        database.exec("PRAGMA application_id = " + std::to_string(kApplicationId));
        database.exec("PRAGMA user_version = 1");
        database.exec(kRows);
        database.exec(
            "CREATE TABLE my_notes (job_id INTEGER REFERENCES jobs (id), text TEXT);"
            "INSERT INTO my_notes VALUES (7, 'good');"
            "CREATE INDEX my_attempts ON attempts (worker);"
            "CREATE VIEW my_view AS SELECT count(*) AS n FROM attempts;");
    }
    std::string path() const { return (folder_ / "results.db").string(); }
    std::string copy() const { return path() + ".version-1"; }

    static std::map<std::string, std::string> schema_of(SQLite::Database& database) {
        std::map<std::string, std::string> schema;
        SQLite::Statement query(
            database, "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'my%'");
        while (query.executeStep()) {
            schema[query.getColumn(0).getString()] = query.getColumn(1).getString();
        }
        return schema;
    }

    TemporaryFolder parent_;
    std::filesystem::path folder_ = parent_.path();
};

TEST_F(MigrationTest, TheSchemaIsThatOfANewDatabase) {
    SQLite::Database migrated(path(), kReadWrite);
    prepare_schema(migrated);
    SQLite::Database fresh(":memory:", kReadWrite);
    prepare_schema(fresh);
    EXPECT_EQ(schema_of(migrated), schema_of(fresh));
    EXPECT_EQ(migrated.execAndGet("PRAGMA user_version").getInt(), kSchemaVersion);
    EXPECT_EQ(migrated.execAndGet("PRAGMA foreign_keys").getInt(), 1);
    EXPECT_EQ(migrated.execAndGet("PRAGMA integrity_check").getString(), "ok");
}

TEST_F(MigrationTest, EveryRowIsStillThere) {
    const std::set<std::string> of_today = {"is_ensemble", "paused",         "save_models",     "best_models",
                                            "select_part", "primary_metric", "statistics",      "provenance",
                                            "site",        "is_one_process", "validation_rows", "test_rows"};
    // Metrics were columns then.
    const std::set<std::string> of_then = {"validation_loss", "validation_accuracy",
                                           "validation_macro_precision", "validation_macro_recall",
                                           "validation_macro_f1"};
    const std::set<std::string> other_tables = {"jobs", "part_metrics", "job_metrics", "epoch_metrics",
                                                "stage_metrics"};
    const auto contents = [&](SQLite::Database& database) {
        std::map<std::string, std::string> rows;
        SQLite::Statement tables(database, "SELECT name FROM sqlite_schema WHERE type = 'table'");
        while (tables.executeStep()) {
            const std::string table = tables.getColumn(0).getString();
            if (other_tables.contains(table)) {
                continue;
            }
            SQLite::Statement query(database, "SELECT * FROM " + table);
            while (query.executeStep()) {
                for (int i = 0; i < query.getColumnCount(); ++i) {
                    const auto column = query.getColumn(i);
                    if (!column.isNull() && !of_today.contains(column.getName()) &&
                        !of_then.contains(column.getName())) {
                        rows[table] += std::string(column.getName()) + "=" + column.getString() + ";";
                    }
                }
            }
        }
        return rows;
    };
    SQLite::Database database(path(), kReadWrite);
    const auto before = contents(database);
    ASSERT_EQ(before.size(), 12U);
    prepare_schema(database);
    EXPECT_EQ(contents(database), before);
    EXPECT_EQ(database
                  .execAndGet(
                      "SELECT identity || config || ranks || state || failures || created_at || finished_at "
                      "FROM jobs")
                  .getString(),
              "abc{\"seed\": 1}2succeeded1t2t8");
    EXPECT_EQ(database.execAndGet("SELECT resources FROM jobs").getString(), "{\"ranks\":2}");
}

// "a|b" of each row of a query.
std::vector<std::string> rows_of(SQLite::Database& database, const std::string& sql) {
    std::vector<std::string> rows;
    SQLite::Statement query(database, sql);
    while (query.executeStep()) {
        std::string row;
        for (int i = 0; i < query.getColumnCount(); ++i) {
            row += (i == 0 ? "" : "|") + (query.isColumnNull(i) ? "NULL" : query.getColumn(i).getString());
        }
        rows.push_back(row);
    }
    return rows;
}

TEST_F(MigrationTest, MetricsThatWereColumnsAreRows) {
    SQLite::Database database(path(), kReadWrite);
    prepare_schema(database);
    EXPECT_THAT(rows_of(database, "SELECT part, name, value FROM job_metrics ORDER BY name LIMIT 4"),
                ElementsAre("test|accuracy|0.75", "test|f1_of_macro_averages|0.5", "test|loss|0.5",
                            "test|macro_f1|0.625"));
    EXPECT_THAT(rows_of(database, "SELECT epoch, part, name, value FROM epoch_metrics ORDER BY name LIMIT 2"),
                ElementsAre("1|validation|accuracy|0.75", "1|validation|loss|0.25"));
    EXPECT_THAT(rows_of(database, "SELECT test_rows, validation_rows FROM results"), ElementsAre("10|NULL"));
    EXPECT_THAT(rows_of(database,
                        "SELECT count(*), sum(in_table), max(name = 'loss' AND goal = 'min' AND unit = "
                        "'number') FROM stage_metrics"),
                ElementsAre(std::to_string(training_metrics().size()) + "|4|1"));
    EXPECT_THAT(rows_of(database, "SELECT test_rows, accuracy, macro_f1, loss FROM seed_result"),
                ElementsAre("10|0.75|0.625|0.5"));
}

// Version 7 had its metrics in two sets of tables. What the views said of them, they say still.
TEST(MigrationOfVersion7, TheViewsSayWhatTheySaid) {
    const std::string folder = std::string(ORCHESTRATE_SOURCE_DIR) + "/tests/results/";
    SQLite::Database database(":memory:", kReadWrite);
    database.exec("PRAGMA foreign_keys = OFF");
    database.exec(file_text(folder + "version_7.sql"));
    database.exec("PRAGMA application_id = " + std::to_string(kApplicationId));
    database.exec("PRAGMA user_version = 7");
    prepare_schema(database);
    std::istringstream lines(file_text(folder + "version_7_views.txt"));
    std::string query;
    std::vector<std::string> expected;
    int queries = 0;
    const auto compare = [&] {
        if (!query.empty()) {
            EXPECT_EQ(rows_of(database, query), expected) << query;
            ++queries;
        }
        expected.clear();
    };
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("SELECT ")) {
            compare();
            query = line;
        } else if (!line.empty()) {
            expected.push_back(line);
        }
    }
    compare();
    EXPECT_EQ(queries, 5);
    EXPECT_THAT(rows_of(database, "SELECT DISTINCT name, primary_metric FROM stages"),
                ElementsAre("ablation|macro_f1", "ablation|score"));
    EXPECT_THAT(rows_of(database,
                        "SELECT name FROM sqlite_schema WHERE name LIKE 'named_%' OR name = "
                        "'part_metrics' OR name LIKE 'before_%'"),
                testing::IsEmpty());
}

// Until version 5 the whole path of a command's program was a part of what a job is.
TEST_F(MigrationTest, JobsOfAProgramByItsPathAreKnownByItsFileName) {
    const auto job_with = [](const std::string& program) {
        JobConfig config;
        config.command.emplace();
        config.command->run = {program, "t.py"};
        return config;
    };
    SQLite::Database database(path(), kReadWrite);
    const auto insert = [&](int id, const std::string& program, const std::string& state) {
        const std::string config = canonical_json(job_with(program));
        SQLite::Statement statement(database, "INSERT INTO jobs VALUES (?, ?, ?, '{}', 1, ?, 0, 't2', 't8')");
        statement.bind(1, id);
        statement.bind(2, sha256_hex(config));
        statement.bind(3, config);
        statement.bind(4, state);
        statement.exec();
    };
    insert(8, "/a/python3", "failed");
    insert(9, "/b/python3", "succeeded");
    insert(10, "ruby", "succeeded");
    prepare_schema(database);
    const auto id_of = [&](const std::string& identity) {
        SQLite::Statement query(database, "SELECT id FROM jobs WHERE identity = ?");
        query.bind(1, identity);
        return query.executeStep() ? query.getColumn(0).getInt() : 0;
    };
    EXPECT_EQ(id_of(job_identity(job_with("/elsewhere/python3"))), 9) << "the one that has a result";
    EXPECT_EQ(id_of(sha256_hex(canonical_json(job_with("/a/python3")))), 8) << "left as it was";
    EXPECT_EQ(id_of(job_identity(job_with("ruby"))), 10);
}

TEST_F(MigrationTest, WhatPeopleAddedStays) {
    SQLite::Database database(path(), kReadWrite);
    prepare_schema(database);
    EXPECT_EQ(database.execAndGet("SELECT n FROM my_view").getInt(), 2);
    EXPECT_EQ(database.execAndGet("SELECT text FROM my_notes").getString(), "good");
    EXPECT_EQ(
        database.execAndGet("SELECT tbl_name FROM sqlite_schema WHERE name = 'my_attempts'").getString(),
        "attempts");
}

TEST_F(MigrationTest, ACopyOfTheDatabaseAsItWasStays) {
    {
        SQLite::Database database(path(), kReadWrite);
        prepare_schema(database);
        prepare_schema(database);  // nothing more to migrate
    }
    SQLite::Database before(copy(), SQLite::OPEN_READONLY);
    EXPECT_EQ(before.execAndGet("PRAGMA user_version").getInt(), 1);
    EXPECT_EQ(before.execAndGet("PRAGMA application_id").getInt(), kApplicationId);
    EXPECT_EQ(before.execAndGet("SELECT sum(number) FROM attempts").getInt(), 3);
    EXPECT_FALSE(std::filesystem::exists(copy() + "-2"));
}

TEST_F(MigrationTest, AnEarlierCopyIsNotOverwritten) {
    std::ofstream(copy()) << "precious";
    SQLite::Database database(path(), kReadWrite);
    prepare_schema(database);
    EXPECT_EQ(file_text(copy()), "precious");
    EXPECT_EQ(SQLite::Database(copy() + "-2").execAndGet("SELECT count(*) FROM jobs").getInt(), 1);
}

TEST_F(MigrationTest, WithoutACopyNothingChanges) {
    std::filesystem::create_directories(copy() + ".part/in-the-way");
    SQLite::Database database(path(), kReadWrite);
    try {
        prepare_schema(database);
        ADD_FAILURE() << "was migrated";
    } catch (const UserError& error) {
        EXPECT_THAT(error.what(), HasSubstr(copy()));
        EXPECT_THAT(error.what(), HasSubstr("left as it was"));
    }
    EXPECT_EQ(database.execAndGet("PRAGMA user_version").getInt(), 1);
    EXPECT_EQ(database.execAndGet("SELECT count(*) FROM jobs").getInt(), 1);
}

TEST_F(MigrationTest, ADatabaseWithDanglingReferencesIsLeftAsItWas) {
    SQLite::Database database(path(), kReadWrite);
    database.exec("PRAGMA foreign_keys = OFF; INSERT INTO confusion VALUES (99, 0, 0, 1)");
    EXPECT_THROW(prepare_schema(database), UserError);
    EXPECT_EQ(database.execAndGet("PRAGMA user_version").getInt(), 1);
    EXPECT_EQ(database.execAndGet("SELECT count(*) FROM pragma_table_info('jobs') WHERE name = 'resources'")
                  .getInt(),
              0);
}

}  // namespace
}  // namespace orchestrate
