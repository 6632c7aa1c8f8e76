#include "coordinator/database/database_owner.h"

#include <cstdio>
#include <ctime>
#include <filesystem>

#include <unistd.h>

#include "common/base/host.h"
#include "common/protocol/access_file.h"

namespace orchestrate {
namespace {

constexpr std::size_t kIdDigits = 32;

bool has_table(SQLite::Database& database, const char* table) {
    SQLite::Statement query(database, "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?");
    query.bind(1, table);
    return query.executeStep();
}

template <class... Values>
void execute(SQLite::Database& database, const char* sql, const Values&... values) {
    SQLite::Statement statement(database, sql);
    int index = 0;
    (statement.bind(++index, values), ...);
    statement.exec();
}

// Paths below DATABASE.d are stored absolute.
void move_stored_paths(SQLite::Database& database, const std::string& from, const std::string& to,
                       bool with_logs) {
    const auto move = [&](const char* table, const char* column) {
        const std::string name = column;
        SQLite::Statement update(database, "UPDATE " + std::string(table) + " SET " + name +
                                               " = ?2 || substr(" + name + ", length(?1) + 1) WHERE substr(" +
                                               name + ", 1, length(?1)) = ?1");
        update.bind(1, from + ".d/");
        update.bind(2, to + ".d/");
        update.exec();
    };
    move("models", "folder");
    if (with_logs) {
        move("attempts", "log_file");
        move("workers", "log_file");
    }
}

void write_identity(SQLite::Database& database, const DatabaseIdentity& identity, const std::string& now) {
    const DatabasePlace& place = identity.place;
    execute(
        database,
        "INSERT INTO database_identity (only_row, id, created_at, copied_from, host, path, device, inode) "
        "VALUES (1, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (only_row) DO UPDATE SET id = excluded.id, "
        "created_at = CASE WHEN id = excluded.id THEN created_at ELSE excluded.created_at END, "
        "copied_from = excluded.copied_from, host = excluded.host, path = excluded.path, "
        "device = excluded.device, inode = excluded.inode",
        identity.id, now, identity.copied_from, place.host, place.path, place.device, place.inode);
}

}  // namespace

std::string random_database_id() {
    return random_token().substr(0, kIdDigits);
}

std::optional<DatabaseIdentity> read_identity(SQLite::Database& database) {
    if (!has_table(database, "database_identity")) {
        return std::nullopt;
    }
    SQLite::Statement query(database,
                            "SELECT id, copied_from, host, path, device, inode FROM database_identity");
    if (!query.executeStep()) {
        return std::nullopt;
    }
    return DatabaseIdentity{query.getColumn(0).getString(),
                            query.getColumn(1).getString(),
                            {query.getColumn(2).getString(), query.getColumn(3).getString(),
                             query.getColumn(4).getInt64(), query.getColumn(5).getInt64()}};
}

std::optional<DatabaseOwner> read_owner(SQLite::Database& database) {
    if (!has_table(database, "database_owner")) {
        return std::nullopt;
    }
    SQLite::Statement query(database,
                            "SELECT token, host, process_id, started_at, heartbeat_at FROM database_owner");
    if (!query.executeStep()) {
        return std::nullopt;
    }
    return DatabaseOwner{query.getColumn(0).getString(), query.getColumn(1).getString(),
                         query.getColumn(2).getInt64(), query.getColumn(3).getString(),
                         query.getColumn(4).getString()};
}

std::optional<std::chrono::seconds> silence_of(const DatabaseOwner& owner,
                                               std::chrono::system_clock::time_point now) {
    std::tm time{};
    if (std::sscanf(owner.heartbeat_at.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d", &time.tm_year, &time.tm_mon,
                    &time.tm_mday, &time.tm_hour, &time.tm_min, &time.tm_sec) != 6) {
        return std::nullopt;
    }
    time.tm_year -= 1900;
    time.tm_mon -= 1;
    const std::chrono::sys_seconds beat{std::chrono::seconds(timegm(&time))};
    return std::chrono::abs(std::chrono::floor<std::chrono::seconds>(now) - beat);
}

DatabaseClaim claim_database(SQLite::Database& database, const DatabasePlace& here, const std::string& now) {
    DatabaseClaim claim;
    if (auto recorded = read_identity(database)) {
        claim.identity = *std::move(recorded);
    } else {
        claim.identity = {random_database_id(), "", here};
    }
    DatabaseIdentity& identity = claim.identity;
    const DatabasePlace before = identity.place;
    if (!before.path.empty() && !is_same_file(before, here)) {
        claim.copy_of = before;
        identity.copied_from = identity.id;
        identity.id = random_database_id();
    }
    if (!before.path.empty() && before.path != here.path) {
        // The logs of a copy without its directory stay those of the original.
        std::error_code ignored;
        move_stored_paths(database, before.path, here.path,
                          !claim.copy_of || std::filesystem::exists(here.path + ".d/logs", ignored));
    }
    identity.place = here;
    write_identity(database, identity, now);
    claim.token = random_token();
    execute(database, "INSERT OR REPLACE INTO database_owner VALUES (1, ?, ?, ?, ?, ?)", claim.token,
            here.host, static_cast<std::int64_t>(getpid()), now, now);
    return claim;
}

bool renew_claim(SQLite::Database& database, const std::string& token, const std::string& now) {
    execute(database, "UPDATE database_owner SET heartbeat_at = ? WHERE token = ?", now, token);
    return database.getChanges() > 0;
}

void release_claim(SQLite::Database& database, const std::string& token) {
    execute(database, "DELETE FROM database_owner WHERE token = ?", token);
}

}  // namespace orchestrate
