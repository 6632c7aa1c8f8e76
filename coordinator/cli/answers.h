// Questions of commands: asked of the coordinator that has the database, or answered from its file.
#pragma once

#include <optional>
#include <string>

#include <SQLiteCpp/SQLiteCpp.h>

#include "coordinator/cli/client.h"
#include "coordinator/database/read_database.h"

namespace orchestrate {

// The coordinator that has the database; nothing, said on standard error, also if it does not answer.
std::optional<Client> reach_or_say_silence(const Place& place);

// On standard error, for answers that show states: what a coordinator that was killed has left as running does not run.
void say_that_nobody_runs(const Place& place, SQLite::Database& database);

// On standard error: how old an answer is that was read from a copy.
void say_age(double seconds);

// JSON `{key: text}`, or the text, wrapped.
void print_text(const std::string& text, const char* key, bool json);

enum class ShowsStates { no, yes };

// The answer of the coordinator that has the database, or what `read(database)` finds in the file. Throws UserError.
template <class Reply, class Read>
Reply ask_or_read(const Place& place, const ClientRequest& request, Read read,
                  ShowsStates shows = ShowsStates::no) {
    if (auto client = reach_or_say_silence(place)) {
        Reply reply = client->ask<Reply>(request);
        if (reply.age_seconds) {
            say_age(*reply.age_seconds);
        }
        return reply;
    }
    auto database = open_to_read(place.database);
    Reply reply = read(database);
    if (shows == ShowsStates::yes) {
        say_that_nobody_runs(place, database);
    }
    return reply;
}

}  // namespace orchestrate
