#include <algorithm>
#include <array>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sqlite3.h>

#include "common/base/error.h"
#include "common/base/nearest_name.h"
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
        // Else a mistyped name between double quotes would be a text.
        sqlite3_db_config(handle_, SQLITE_DBCONFIG_DQS_DML, 0, nullptr);
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

// Rows of one query of the schema; empty if it fails, since a suggestion is not worth a second error.
std::vector<std::vector<std::string>> schema_rows(SQLite::Database& database, const char* sql) {
    std::vector<std::vector<std::string>> rows;
    try {
        SQLite::Statement query(database, sql);
        while (query.executeStep()) {
            auto& row = rows.emplace_back();
            for (int i = 0; i < query.getColumnCount(); ++i) {
                row.push_back(query.getColumn(i).getString());
            }
        }
    } catch (const SQLite::Exception&) {
        rows.clear();
    }
    return rows;
}

std::vector<std::string> first_of(const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::string> names;
    std::transform(rows.begin(), rows.end(), std::back_inserter(names),
                   [](const auto& row) { return row.front(); });
    return names;
}

std::string lower_case(std::string_view text) {
    std::string result(text);
    std::transform(result.begin(), result.end(), result.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return result;
}

// The words of a query: names of tables, columns and functions, keywords.
std::set<std::string> words_of(std::string_view sql) {
    std::set<std::string> words;
    std::string word;
    for (const char c : lower_case(sql) + " ") {
        const bool in_name = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
        if (in_name) {
            word += c;
        } else if (!word.empty()) {
            words.insert(std::exchange(word, {}));
        }
    }
    return words;
}

std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates) {
    const auto nearest = nearest_name(name, candidates);
    return nearest ? "; did you mean '" + *nearest + "'?" : "";
}

// Looks first among the columns of the tables and views that the query names, then in all others.
std::string suggested_column(SQLite::Database& database, std::string_view name, std::string_view sql) {
    constexpr std::size_t kMaxOwners = 5;
    const auto words = words_of(sql);
    std::vector<std::string> named;   // columns of what the query names
    std::vector<std::string> others;  // "RELATION.COLUMN" of all else
    std::vector<std::string> owners;  // of exactly this column
    for (const auto& row : schema_rows(database,
                                       "SELECT relations.name, columns.name FROM sqlite_schema AS relations, "
                                       "pragma_table_info(relations.name) AS columns "
                                       "WHERE relations.type IN ('table', 'view') "
                                       "ORDER BY relations.type DESC, relations.name")) {
        const bool is_named = words.contains(lower_case(row[0]));
        if (is_named) {
            named.push_back(row[1]);
        } else {
            others.push_back(row[1]);
            if (lower_case(row[1]) == lower_case(name)) {
                owners.push_back(row[0]);
            }
        }
    }
    if (!owners.empty()) {
        std::string text;
        for (std::size_t i = 0; i < std::min(owners.size(), kMaxOwners); ++i) {
            text += (i == 0 ? "" : ", ") + owners[i];
        }
        return "; a column of that name is in " + text + (owners.size() > kMaxOwners ? ", ..." : "");
    }
    const std::string suggestion = did_you_mean(name, named);
    return suggestion.empty() ? did_you_mean(name, others) : suggestion;
}

// "; did you mean 'comparison'?" for SQLite's message "no such table: comparsion"; empty if nothing is near.
std::string suggestion(SQLite::Database& database, std::string_view message, std::string_view sql) {
    constexpr std::string_view kNoTable = "no such table: ";
    constexpr std::string_view kNoColumn = "no such column: ";
    constexpr std::string_view kNoFunction = "no such function: ";
    if (message.starts_with(kNoTable)) {
        return did_you_mean(message.substr(kNoTable.size()),
                            first_of(schema_rows(
                                database, "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')")));
    }
    if (message.starts_with(kNoFunction)) {
        return did_you_mean(
            message.substr(kNoFunction.size()),
            first_of(schema_rows(database, "SELECT DISTINCT name FROM pragma_function_list")));
    }
    if (message.starts_with(kNoColumn)) {
        const std::string_view name = message.substr(kNoColumn.size());
        const std::size_t point = name.rfind('.');
        return suggested_column(database, point == std::string_view::npos ? name : name.substr(point + 1),
                                sql);
    }
    return {};
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
    std::string line = sql.substr(begin, end - begin);
    std::replace_if(
        line.begin(), line.end(), [](char c) { return c != '\t' && static_cast<unsigned char>(c) < 0x20; },
        '?');
    return "\n  " + line + "\n  " + margin + "^";
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
        throw UserError("SQL: " + message + suggestion(database, message, sql) + pointed_at(sql, offset));
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
