#include "results/schema.h"

#include <map>
#include <optional>
#include <string>

#include <sqlite3.h>

#include "common/base/error.h"
#include "results/embedded_sql.h"
#include "results/migration.h"

namespace orchestrate {
namespace {

enum class Content { empty, ours };

int read_pragma(SQLite::Database& database, const char* pragma) {
    return database.execAndGet(pragma).getInt();
}

std::string file_of(const SQLite::Database& database) {
    const std::string& name = database.getFilename();
    return name.empty() || name == ":memory:" ? "the database in memory" : "'" + name + "'";
}

std::string table_list(SQLite::Database& database) {
    constexpr int kShown = 5;
    std::string list;
    SQLite::Statement query(database,
                            "SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY rowid");
    for (int count = 0; query.executeStep(); ++count) {
        if (count == kShown) {
            return list + ", ...";
        }
        list += (list.empty() ? "" : ", ") + query.getColumn(0).getString();
    }
    return list;
}

[[noreturn]] void refuse_foreign(SQLite::Database& database, const std::string& what_was_found) {
    throw UserError(file_of(database) + " is no results database of orchestrate: " + what_was_found +
                    ". It was left as it is; name another file with --db.");
}

// Reads only. Throws UserError for whatever is neither empty nor a results database this program can read.
Content inspect(SQLite::Database& database) {
    int application_id = 0;
    int version = 0;
    int objects = 0;
    try {
        application_id = read_pragma(database, "PRAGMA application_id");
        version = read_pragma(database, "PRAGMA user_version");
        objects = read_pragma(database, "SELECT count(*) FROM sqlite_schema");
    } catch (const SQLite::Exception& error) {
        if (error.getErrorCode() == SQLITE_NOTADB) {
            refuse_foreign(database, "it is not an SQLite database");
        }
        throw;
    }
    if (application_id == kApplicationId) {
        if (version > kSchemaVersion) {
            throw UserError(file_of(database) +
                            " was written by a newer orchestrate: its schema has version " +
                            std::to_string(version) + ", this program knows versions up to " +
                            std::to_string(kSchemaVersion) +
                            ". It was left as it is; use the newer program, or name another file with --db.");
        }
        if (version < 1) {
            refuse_foreign(database, "it has orchestrate's application_id but schema version " +
                                         std::to_string(version) + "; expected 1 to " +
                                         std::to_string(kSchemaVersion));
        }
        return Content::ours;
    }
    if (application_id != 0) {
        refuse_foreign(database, "it belongs to another program (application_id " +
                                     std::to_string(application_id) + ")");
    }
    if (objects > 0) {
        refuse_foreign(database, "it holds other tables (" + table_list(database) + ")");
    }
    if (version != 0) {
        refuse_foreign(database, "it is empty but has user_version " + std::to_string(version));
    }
    return Content::empty;
}

using ViewTexts = std::map<std::string, std::string>;

ViewTexts view_texts(SQLite::Database& database) {
    ViewTexts texts;
    SQLite::Statement query(database, "SELECT name, sql FROM sqlite_schema WHERE type = 'view'");
    while (query.executeStep()) {
        texts.emplace(query.getColumn(0).getString(), query.getColumn(1).getString());
    }
    return texts;
}

// The views as SQLite writes them down.
ViewTexts shipped_views() {
    SQLite::Database scratch(":memory:", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    scratch.exec(kSchemaSql);
    scratch.exec(kViewsSql);
    return view_texts(scratch);
}

// Views hold no data, so a program that improves one replaces it; views that users added are kept.
void refresh_views(SQLite::Database& database) {
    const ViewTexts shipped = shipped_views();
    const ViewTexts stored = view_texts(database);
    std::string changes;
    for (const auto& [name, sql] : shipped) {
        const auto found = stored.find(name);
        if (found != stored.end() && found->second == sql) {
            continue;
        }
        changes += "DROP VIEW IF EXISTS " + name + ";\n" + sql + ";\n";
    }
    if (changes.empty()) {
        return;
    }
    SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
    database.exec(changes);
    transaction.commit();
}

void create_schema(SQLite::Database& database) {
    SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
    if (inspect(database) == Content::ours) {
        return;  // another process was quicker
    }
    database.exec(kSchemaSql);
    database.exec(kViewsSql);
    database.exec("PRAGMA application_id = " + std::to_string(kApplicationId));
    database.exec("PRAGMA user_version = " + std::to_string(kSchemaVersion));
    transaction.commit();
}

// While alive, closing the connection does not move the write-ahead log into the file: a database that is
// refused keeps its bytes.
class NoCheckpointOnClose {
  public:
    explicit NoCheckpointOnClose(SQLite::Database& database) : handle_(database.getHandle()) {
        sqlite3_db_config(handle_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, -1, &before_);
        sqlite3_db_config(handle_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    }
    void lift() { sqlite3_db_config(handle_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, before_, nullptr); }

  private:
    sqlite3* handle_;
    int before_ = 0;
};

}  // namespace

bool holds_results(SQLite::Database& database) {
    return inspect(database) == Content::ours;
}

void prepare_schema(SQLite::Database& database) {
    NoCheckpointOnClose no_checkpoint(database);
    const Content content = inspect(database);
    const bool read_only = sqlite3_db_readonly(database.getHandle(), "main") == 1;
    if (content == Content::empty && read_only) {
        throw UserError(file_of(database) + " is empty: there are no results in it yet.");
    }
    no_checkpoint.lift();
    database.exec("PRAGMA foreign_keys = ON");
    if (read_only) {
        return;
    }
    if (content == Content::empty) {
        create_schema(database);
    } else if (const int version = read_pragma(database, "PRAGMA user_version"); version < kSchemaVersion) {
        migrate_schema(database, version);
    }
    refresh_views(database);
}

}  // namespace orchestrate
