#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <sqlite3.h>

#include "common/error.h"
#include "common/nearest_name.h"
#include "results/query_result.h"
#include "results/tables.h"

namespace orchestrate {
namespace {

using StatementHandle = std::unique_ptr<sqlite3_stmt, decltype(&sqlite3_finalize)>;

// Some pragmas act while they are prepared, so SQLite's authorizer must refuse them before.
bool is_reading_pragma(std::string_view name, bool has_argument) {
    constexpr std::array<std::string_view, 10> kAboutTheSchema = {
        "table_info",       "table_xinfo",   "table_list",    "index_list",  "index_info",
        "foreign_key_list", "function_list", "database_list", "quick_check", "integrity_check"};
    constexpr std::array<std::string_view, 7> kSettings = {"user_version", "application_id", "schema_version",
                                                           "encoding",     "page_count",     "page_size",
                                                           "journal_mode"};
    const auto holds = [&](const auto& names) {
        return std::find(names.begin(), names.end(), name) != names.end();
    };
    return holds(kAboutTheSchema) || (!has_argument && holds(kSettings));
}

// Refuses what sqlite3_stmt_readonly counts as reading although it changes the connection.
int allow_reading(void*, int action, const char* first, const char* second, const char*, const char*) {
    switch (action) {
        case SQLITE_PRAGMA:
            return is_reading_pragma(first, second != nullptr) ? SQLITE_OK : SQLITE_DENY;
        case SQLITE_ATTACH:
        case SQLITE_DETACH:
        case SQLITE_TRANSACTION:
        case SQLITE_SAVEPOINT:
            return SQLITE_DENY;
        default:
            return SQLITE_OK;
    }
}

// While alive, the connection prepares only what reads.
class ReadingOnly {
  public:
    explicit ReadingOnly(SQLite::Database& database) : handle_(database.getHandle()) {
        sqlite3_set_authorizer(handle_, allow_reading, nullptr);
    }
    ~ReadingOnly() { sqlite3_set_authorizer(handle_, nullptr, nullptr); }
    ReadingOnly(const ReadingOnly&) = delete;
    ReadingOnly& operator=(const ReadingOnly&) = delete;

  private:
    sqlite3* handle_;
};

[[noreturn]] void refuse_writing(const std::string& sql) {
    throw UserError("SQL: only queries that read are run here (SELECT, WITH, VALUES, EXPLAIN); refused: " +
                    sql);
}

bool is_blank(std::string_view text) {
    return text.find_first_not_of(" \t\r\n;") == std::string_view::npos;
}

std::vector<std::string> names_from(SQLite::Database& database, const char* sql) {
    std::vector<std::string> names;
    try {
        SQLite::Statement query(database, sql);
        while (query.executeStep()) {
            names.push_back(query.getColumn(0).getString());
        }
    } catch (const SQLite::Exception&) {
        names.clear();  // a suggestion is not worth a second error
    }
    return names;
}

// "; did you mean 'comparison'?" for SQLite's message "no such table: comparsion"; empty if nothing is near.
std::string suggestion(SQLite::Database& database, std::string_view message) {
    constexpr std::string_view kNoTable = "no such table: ";
    constexpr std::string_view kNoColumn = "no such column: ";
    std::vector<std::string> candidates;
    std::string_view name;
    if (message.starts_with(kNoTable)) {
        name = message.substr(kNoTable.size());
        candidates = names_from(database, "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')");
    } else if (message.starts_with(kNoColumn)) {
        name = message.substr(kNoColumn.size());
        name = name.substr(name.rfind('.') == std::string_view::npos ? 0 : name.rfind('.') + 1);
        candidates = names_from(database,
                                "SELECT DISTINCT columns.name FROM sqlite_schema AS relations, "
                                "pragma_table_info(relations.name) AS columns "
                                "WHERE relations.type IN ('table', 'view')");
    }
    const auto nearest = nearest_name(name, candidates);
    return nearest ? "; did you mean '" + *nearest + "'?" : "";
}

// The line of the SQL that holds the byte `offset`, with a caret below it.
std::string pointed_at(const std::string& sql, int offset) {
    if (offset < 0 || static_cast<std::size_t>(offset) > sql.size()) {
        return {};
    }
    const auto position = static_cast<std::size_t>(offset);
    const std::size_t before = position == 0 ? std::string::npos : sql.rfind('\n', position - 1);
    const std::size_t begin = before == std::string::npos ? 0 : before + 1;
    const std::size_t end = std::min(sql.find('\n', position), sql.size());
    std::string margin = sql.substr(begin, position - begin);
    std::replace_if(
        margin.begin(), margin.end(), [](char c) { return c != '\t'; }, ' ');
    return "\n  " + sql.substr(begin, end - begin) + "\n  " + margin + "^";
}

void check_is_one_reading_statement(SQLite::Database& database, const std::string& sql) {
    sqlite3_stmt* prepared = nullptr;
    const char* tail = nullptr;
    const int code = sqlite3_prepare_v2(database.getHandle(), sql.c_str(), -1, &prepared, &tail);
    const StatementHandle statement(prepared, &sqlite3_finalize);
    if (code == SQLITE_AUTH) {
        refuse_writing(sql);
    }
    if (code != SQLITE_OK) {
        const std::string message = sqlite3_errmsg(database.getHandle());
        const int offset = sqlite3_error_offset(database.getHandle());
        throw UserError("SQL: " + message + suggestion(database, message) + pointed_at(sql, offset));
    }
    if (!prepared) {
        throw UserError("SQL: the query is empty; try: select * from comparison");
    }
    if (sqlite3_stmt_readonly(prepared) == 0) {
        refuse_writing(sql);
    }
    if (!is_blank(tail)) {
        sqlite3_stmt* second = nullptr;
        const int rest = sqlite3_prepare_v2(database.getHandle(), tail, -1, &second, nullptr);
        const StatementHandle owner(second, &sqlite3_finalize);
        if (rest != SQLITE_OK || second) {  // else: a comment
            throw UserError("SQL: one statement at a time, but more follows after the first: " +
                            std::string(tail));
        }
    }
}

}  // namespace

std::string render_query(SQLite::Database& database, const std::string& sql, std::size_t max_width,
                         OutputFormat format) {
    const ReadingOnly reading_only(database);
    check_is_one_reading_statement(database, sql);
    try {
        SQLite::Statement statement(database, sql);
        return render(read_rows(statement), max_width, format);
    } catch (const SQLite::Exception& error) {
        throw UserError(std::string("SQL: ") + error.what());
    }
}

}  // namespace orchestrate
