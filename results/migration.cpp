#include "results/migration.h"

#include <cerrno>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/job/job_config.h"
#include "common/metrics/training_metrics.h"
#include "results/embedded_sql.h"
#include "results/schema.h"

namespace orchestrate {
namespace {

constexpr const char* kOldPrefix = "before_migration_";

// What a column that an older version had not is for the rows of that version, as an SQL expression over the old
// table's columns. Columns with a default, or that may be NULL, need no entry.
struct NewColumn {
    int since_version;
    const char* table;
    const char* column;
    const char* value;
    const char*
        needs;  // the table or column that the value is read from; rows of versions without it get the default
};
constexpr NewColumn kNewColumns[] = {
    {2, "jobs", "resources", "json_object('ranks', ranks)", "ranks"},
    {8, "jobs", "cancelled_by_user", "by_person", "by_person"},
    {8, "results", "validation_rows",
     "(SELECT rows FROM part_metrics AS p WHERE p.job_id = before_migration_results.job_id AND part = "
     "'validation')",
     "part_metrics"},
    {8, "results", "test_rows",
     "(SELECT rows FROM part_metrics AS p WHERE p.job_id = before_migration_results.job_id AND part = "
     "'test')",
     "part_metrics"},
};

// Metrics of trainings that versions before 8 had as columns of their own; those of other names are new.
constexpr const char* kOldMetrics[] = {
    "accuracy",        "macro_precision", "macro_recall",        "macro_f1", "loss", "weighted_precision",
    "weighted_recall", "weighted_f1",     "f1_of_macro_averages"};
constexpr const char* kOldEpochMetrics[] = {"loss", "accuracy", "macro_precision", "macro_recall",
                                            "macro_f1"};

std::vector<std::string> texts_of(SQLite::Database& database, const std::string& sql) {
    std::vector<std::string> texts;
    SQLite::Statement query(database, sql);
    while (query.executeStep()) {
        texts.push_back(query.getColumn(0).getString());
    }
    return texts;
}

bool has_table(SQLite::Database& database, const std::string& table) {
    return !texts_of(database,
                     "SELECT name FROM sqlite_schema WHERE type = 'table' AND name = '" + table + "'")
                .empty();
}

std::vector<std::string> columns_of(SQLite::Database& database, const std::string& table) {
    return texts_of(database, "SELECT name FROM pragma_table_info('" + table + "')");
}

void sync_path(const std::filesystem::path& path) {
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    const bool synced = file >= 0 && fsync(file) == 0;
    const int why = errno;
    if (file >= 0) {
        close(file);
    }
    if (!synced) {
        throw UserError("cannot write '" + path.string() + "' to the disk: " + std::strerror(why));
    }
}

std::filesystem::path copy_before(SQLite::Database& database, int version) {
    const std::string& name = database.getFilename();
    if (name.empty() || name == ":memory:") {
        return {};
    }
    const std::string wanted = name + ".version-" + std::to_string(version);
    std::filesystem::path copy = wanted;
    for (int number = 2; std::filesystem::exists(copy); ++number) {
        copy = wanted + "-" + std::to_string(number);
    }
    const std::filesystem::path unfinished = copy.string() + ".part";
    try {
        std::filesystem::remove(unfinished);
        SQLite::Statement write(database, "VACUUM INTO ?");
        write.bind(1, unfinished.string());
        write.exec();
        sync_path(unfinished);
        std::filesystem::rename(unfinished, copy);
        sync_path(std::filesystem::absolute(copy).parent_path());
    } catch (const std::exception& error) {
        std::error_code ignored;
        std::filesystem::remove(unfinished, ignored);
        throw UserError("'" + name + "' has schema version " + std::to_string(version) +
                        " and must be copied before it is brought to version " +
                        std::to_string(kSchemaVersion) + ", but the copy '" + copy.string() +
                        "' cannot be written: " + error.what() + ". It was left as it was.");
    }
    return copy;
}

// The tables and indexes of a new database.
struct Shipped {
    std::vector<std::string> tables;  // in order of creation
    std::map<std::string, std::vector<std::string>> columns;
    std::set<std::string> indexes;
};

Shipped shipped_schema() {
    SQLite::Database scratch(":memory:", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    scratch.exec(kSchemaSql);
    Shipped shipped;
    shipped.tables =
        texts_of(scratch,
                 "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' "
                 "ORDER BY rowid");
    for (const auto& table : shipped.tables) {
        shipped.columns[table] = columns_of(scratch, table);
    }
    for (auto& index :
         texts_of(scratch, "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")) {
        shipped.indexes.insert(std::move(index));
    }
    return shipped;
}

void copy_rows(SQLite::Database& database, const std::string& table,
               const std::vector<std::string>& new_columns, int from_version) {
    const auto old_columns = columns_of(database, kOldPrefix + table);
    const std::set<std::string> old_names(old_columns.begin(), old_columns.end());
    std::string columns;
    std::string values;
    const auto add = [&](const std::string& column, const std::string& value) {
        columns += (columns.empty() ? "" : ", ") + column;
        values += (values.empty() ? "" : ", ") + value;
    };
    for (const auto& column : new_columns) {
        if (old_names.contains(column)) {
            add(column, column);
            continue;
        }
        for (const auto& added : kNewColumns) {
            if (table == added.table && column == added.column && from_version < added.since_version &&
                (old_names.contains(added.needs) || has_table(database, added.needs))) {
                add(column, added.value);
            }
        }
    }
    database.exec("INSERT INTO " + table + " (" + columns + ") SELECT " + values + " FROM " + kOldPrefix +
                  table);
}

// Before version 8 metrics of trainings were columns, and those of commands stood in tables of their own.
void unite_metrics(SQLite::Database& database) {
    for (const char* metric : kOldMetrics) {
        database.exec(
            fmt::format("INSERT INTO job_metrics SELECT job_id, part, '{0}', {0} FROM part_metrics WHERE {0} "
                        "IS NOT NULL AND "
                        "rows > 0",
                        metric));
    }
    for (const char* metric : kOldEpochMetrics) {
        database.exec(
            fmt::format("INSERT INTO epoch_metrics SELECT job_id, epoch, 'validation', '{0}', validation_{0} "
                        "FROM {1}epochs",
                        metric, kOldPrefix));
    }
    database.exec("DROP TABLE part_metrics");
    if (has_table(database, "named_metrics")) {
        database.exec(
            "INSERT INTO job_metrics SELECT job_id, part, name, value FROM named_metrics;"
            "INSERT INTO epochs (job_id, epoch, attempt) "
            "SELECT job_id, epoch, max(attempt) FROM named_epochs GROUP BY job_id, epoch;"
            "INSERT INTO epoch_metrics SELECT job_id, epoch, part, name, value FROM named_epochs;"
            "DROP TABLE named_metrics; DROP TABLE named_epochs");
    }
    // Stages of commands have declared theirs, the first of which their tables compare.
    database.exec(
        "UPDATE stages SET primary_metric = (SELECT name FROM stage_metrics WHERE stage_id = stages.id "
        "ORDER BY position LIMIT 1) WHERE EXISTS (SELECT 1 FROM stage_metrics WHERE stage_id = stages.id)");
    std::string of_trainings = "0";
    for (const auto& id :
         texts_of(database,
                  "SELECT id FROM stages WHERE NOT EXISTS (SELECT 1 FROM stage_metrics WHERE "
                  "stage_id = stages.id)")) {
        of_trainings += ", " + id;
    }
    std::int64_t position = 0;
    for (const auto& metric : training_metrics()) {
        SQLite::Statement insert(database,
                                 "INSERT INTO stage_metrics SELECT id, ?, ?, ?, ?, ? FROM stages WHERE "
                                 "id IN (" +
                                     of_trainings + ")");
        insert.bind(1, position++);
        insert.bind(2, metric.name);
        insert.bind(3, to_string(metric.goal));
        insert.bind(4, to_string(metric.unit));
        insert.bind(5, metric.in_table ? 1 : 0);
        insert.exec();
    }
}

void rebuild_tables(SQLite::Database& database, int from_version) {
    const Shipped shipped = shipped_schema();
    std::vector<std::string> user_indexes;
    std::vector<std::string> old_tables;
    for (const auto& table : shipped.tables) {
        const std::string of_table = " FROM sqlite_schema WHERE tbl_name = '" + table + "' AND ";
        if (!has_table(database, table)) {
            continue;  // this version did not have it
        }
        for (const auto& index :
             texts_of(database, "SELECT name" + of_table + "type = 'index' AND sql IS NOT NULL")) {
            if (!shipped.indexes.contains(index)) {
                const auto sql =
                    texts_of(database, "SELECT sql FROM sqlite_schema WHERE name = '" + index + "'");
                user_indexes.push_back(sql.at(0));
            }
            database.exec("DROP INDEX \"" + index + "\"");
        }
        database.exec(fmt::format("ALTER TABLE {0} RENAME TO {1}{0}", table, kOldPrefix));
        old_tables.push_back(table);
    }
    database.exec(kSchemaSql);
    for (const auto& table : old_tables) {
        copy_rows(database, table, shipped.columns.at(table), from_version);
    }
    if (from_version < 8) {
        unite_metrics(database);
    }
    for (const auto& table : old_tables) {
        database.exec("DROP TABLE " + (kOldPrefix + table));
    }
    for (const auto& sql : user_indexes) {
        database.exec(sql);
    }
}

// Since version 6 only the file name of a command's absolute program is part of a job's identity. Of jobs that are one
// since, the one that has succeeded or is older is it; the others stay as they are.
void renew_identities(SQLite::Database& database) {
    SQLite::Statement query(database,
                            "SELECT id, config FROM jobs WHERE config LIKE '{\"command\"%' AND "
                            "json_extract(config, '$.command.run[0]') LIKE '/%' "
                            "ORDER BY state <> 'succeeded', id");
    std::vector<std::pair<std::int64_t, std::string>> renewed;
    while (query.executeStep()) {
        JobConfig config;
        Json::parse(query.getColumn(1).getString()).get_to(config);
        renewed.emplace_back(query.getColumn(0).getInt64(), job_identity(config));
    }
    SQLite::Statement update(database, "UPDATE OR IGNORE jobs SET identity = ? WHERE id = ?");
    for (const auto& [job, identity] : renewed) {
        update.bind(1, identity);
        update.bind(2, job);
        update.exec();
        update.reset();
    }
}

// While alive, renaming a table leaves the references of other tables and of views as they are.
class PlainRenames {
  public:
    explicit PlainRenames(SQLite::Database& database) : database_(database) {
        database_.exec("PRAGMA foreign_keys = OFF");
        database_.exec("PRAGMA legacy_alter_table = ON");
    }
    ~PlainRenames() {
        database_.tryExec("PRAGMA legacy_alter_table = OFF");
        database_.tryExec("PRAGMA foreign_keys = ON");
    }
    PlainRenames(const PlainRenames&) = delete;
    PlainRenames& operator=(const PlainRenames&) = delete;

  private:
    SQLite::Database& database_;
};

}  // namespace

std::filesystem::path migrate_schema(SQLite::Database& database, int from_version) {
    auto copy = copy_before(database, from_version);
    const PlainRenames plain_renames(database);
    SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
    rebuild_tables(database, from_version);
    if (from_version < 6) {
        renew_identities(database);
    }
    if (!texts_of(database, "SELECT \"table\" FROM pragma_foreign_key_check").empty()) {
        throw UserError("'" + database.getFilename() +
                        "' has rows that refer to rows which do not exist, so it cannot be brought to schema "
                        "version " +
                        std::to_string(kSchemaVersion) + ". It was left as it is.");
    }
    database.exec("PRAGMA user_version = " + std::to_string(kSchemaVersion));
    transaction.commit();
    return copy;
}

}  // namespace orchestrate
