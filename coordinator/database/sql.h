// A database whose statements are prepared once, and short forms for running them. Preparing a statement costs several
// times what a short one takes to run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include <SQLiteCpp/SQLiteCpp.h>

#include "common/base/typed_id.h"
#include "common/job/ids.h"

namespace orchestrate {

// Not thread-safe.
class StoreDatabase : public SQLite::Database {
  public:
    using SQLite::Database::Database;
    explicit StoreDatabase(SQLite::Database database) : SQLite::Database(std::move(database)) {}

    // The statement of that text, which must be a literal: it is known by its address. One user at a time.
    template <std::size_t size>
    SQLite::Statement& prepared(const char (&sql)[size]) {
        auto found = statements_.find(sql);
        if (found == statements_.end()) {
            found = statements_.try_emplace(sql, *this, std::string(sql, size - 1)).first;
        }
        return found->second;
    }

  private:
    std::unordered_map<const char*, SQLite::Statement> statements_;
};

// A prepared statement with its parameters bound in order. When it goes, the statement is as new: what it read is
// locked no longer, what was bound is forgotten.
class BoundStatement {
  public:
    template <std::size_t size, class... Values>
    BoundStatement(StoreDatabase& database, const char (&sql)[size], const Values&... values)
        : statement_(database.prepared(sql)) {
        int index = 0;
        (bind(++index, values), ...);
    }
    ~BoundStatement() {
        statement_.tryReset();
        statement_.clearBindings();
    }
    BoundStatement(const BoundStatement&) = delete;
    BoundStatement& operator=(const BoundStatement&) = delete;

    SQLite::Statement* operator->() { return &statement_; }
    SQLite::Statement& operator*() { return statement_; }

  private:
    template <class Value>
    void bind(int index, const Value& value) {
        statement_.bind(index, value);
    }
    template <class Kind>
    void bind(int index, const TypedId<Kind>& id) {
        statement_.bind(index, id.value());
    }
    template <class Value>
    void bind(int index, const std::optional<Value>& value) {
        if (value) {
            bind(index, *value);
        } else {
            statement_.bind(index);  // NULL
        }
    }

    SQLite::Statement& statement_;
};

// Runs a statement with its parameters bound in order.
template <std::size_t size, class... Values>
void execute(StoreDatabase& database, const char (&sql)[size], const Values&... values) {
    BoundStatement statement(database, sql, values...);
    statement->exec();
}

// The first column of the first row that a query gives; there must be one.
template <std::size_t size, class... Values>
std::int64_t number_of(StoreDatabase& database, const char (&sql)[size], const Values&... values) {
    BoundStatement statement(database, sql, values...);
    statement->executeStep();
    return statement->getColumn(0).getInt64();
}

// A column that names something: id_in<JobId>(*query, 0).
template <class Id>
Id id_in(SQLite::Statement& statement, int column) {
    return Id(statement.getColumn(column).getInt64());
}

}  // namespace orchestrate
