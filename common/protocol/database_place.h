// Which file a database is: found again by its inode, since names change and several may mean one file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include <boost/describe.hpp>

#include "common/base/json.h"

namespace orchestrate {

// A file as one host sees it. All empty: not known.
struct DatabasePlace {
    std::string host;
    std::string path;         // absolute, without symbolic links
    std::int64_t device = 0;  // st_dev, which differs between the hosts of a network file system
    std::int64_t inode = 0;   // st_ino, which does not
    bool operator==(const DatabasePlace&) const = default;
};
BOOST_DESCRIBE_STRUCT(DatabasePlace, (), (host, path, device, inode))

// The absolute path of a database, with symbolic links followed; the file need not exist. Throws UserError if the name
// is empty or its links form a loop.
std::filesystem::path resolve_database(const std::filesystem::path& database);

// Throws UserError if the absolute path of a database that is to be written is not UTF-8: messages and access files, which
// name it, are.
void check_database_name(const std::filesystem::path& resolved);

// `resolved` as resolve_database() returns it. Throws UserError if there is no regular file of that name, or if it has
// several names (hard links): SQLite finds the log of the newest transactions by the file's name, so that whoever uses
// another name does not see them.
DatabasePlace place_of(const std::filesystem::path& resolved);

// Whether `found` is the file that was recorded, perhaps moved since: not a copy of it, and not another file that took
// its name. Between hosts the device does not count.
bool is_same_file(const DatabasePlace& recorded, const DatabasePlace& found);

}  // namespace orchestrate
