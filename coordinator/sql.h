// Short forms for single SQL statements.
#pragma once

#include <cstdint>

#include <SQLiteCpp/SQLiteCpp.h>

namespace orchestrate {

// Runs a statement with its parameters bound in order.
template <class... Values>
void execute(SQLite::Database& database, const char* sql, const Values&... values) {
    SQLite::Statement statement(database, sql);
    int index = 0;
    (statement.bind(++index, values), ...);
    statement.exec();
}

// The first column of the first row that a query gives; there must be one.
template <class... Values>
std::int64_t number_of(SQLite::Database& database, const char* sql, const Values&... values) {
    SQLite::Statement statement(database, sql);
    int index = 0;
    (statement.bind(++index, values), ...);
    statement.executeStep();
    return statement.getColumn(0).getInt64();
}

}  // namespace orchestrate
