// What a database says about itself: which one it is, and which coordinator has it (tables database_identity and
// database_owner of results/schema.sql). All hosts read the same rows, whatever their file system makes of locks.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include <SQLiteCpp/SQLiteCpp.h>

#include "common/protocol/database_place.h"

namespace orchestrate {

struct DatabaseIdentity {
    std::string id;           // 128 random bits, hexadecimal
    std::string copied_from;  // id of the database that this one is a copy of; empty: of none
    DatabasePlace place;      // where a coordinator last opened it
};

struct DatabaseOwner {
    std::string token;  // random, of one start of a coordinator
    std::string host;
    std::int64_t process_id = 0;
    std::string started_at;    // UTC
    std::string heartbeat_at;  // UTC, by the owner's clock
};

// Nothing if no coordinator of this schema version has opened the database.
std::optional<DatabaseIdentity> read_identity(SQLite::Database& database);
// Nothing if no coordinator has it, or the last one has ended in order.
std::optional<DatabaseOwner> read_owner(SQLite::Database& database);

// How far from `now`, by this host's clock, the owner's last heartbeat is; nothing if it cannot be read. One from the future
// counts as one as long ago, since a clock that was wrong must not keep a database for ever.
std::optional<std::chrono::seconds> silence_of(const DatabaseOwner& owner,
                                               std::chrono::system_clock::time_point now);

// What a claim has found and made.
struct DatabaseClaim {
    DatabaseIdentity identity;             // as it is now
    std::string token;                     // of the owner's row
    std::optional<DatabasePlace> copy_of;  // the file that this one is a copy of
};

// The caller holds the database's lock. Writes itself down as the owner, and gives the database an id if it has none. A file
// that is not the one which was recorded is a copy: it gets an id of its own. One that was moved keeps its id, and paths below
// its directory that are stored in the tables follow it. Part of the caller's transaction.
DatabaseClaim claim_database(SQLite::Database& database, const DatabasePlace& here, const std::string& now);

// Renews the heartbeat. False if another coordinator has taken the database over. Part of the caller's transaction.
bool renew_claim(SQLite::Database& database, const std::string& token, const std::string& now);

// Removes the owner's row if it is of that token. Part of the caller's transaction.
void release_claim(SQLite::Database& database, const std::string& token);

// Makes a new id, as for a copy that has no place yet: whoever opens it first gives it one.
std::string random_database_id();

}  // namespace orchestrate
