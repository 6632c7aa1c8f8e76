// A database of an older version is read as one of today's, and stays as it is.
#include "coordinator/database/read_database.h"

#include <fstream>
#include <iterator>

#include <gtest/gtest.h>
#include <unistd.h>

#include "common/base/temporary_folder.h"
#include "results/schema.h"
#include "results/tables.h"

namespace orchestrate {
namespace {

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

}  // namespace
}  // namespace orchestrate
