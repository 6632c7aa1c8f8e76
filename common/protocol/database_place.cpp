#include "common/protocol/database_place.h"

#include <cerrno>
#include <cstring>
#include <system_error>

#include <sys/stat.h>

#include "common/base/error.h"
#include "common/base/host.h"
#include "common/base/printable.h"
#include "common/base/unicode.h"

namespace orchestrate {

namespace fs = std::filesystem;

namespace {

constexpr int kMaxLinks = 40;  // as Linux follows

// Of a directory that may not exist.
fs::path resolved_directory(const fs::path& directory) {
    std::error_code error;
    const fs::path found = fs::canonical(directory, error);
    return error ? directory.lexically_normal() : found;
}

}  // namespace

fs::path resolve_database(const fs::path& database) {
    if (database.empty()) {
        throw UserError("the name of the database is empty; name a file with --db FILE");
    }
    fs::path path = fs::absolute(database);
    for (int links = 0; links < kMaxLinks; ++links) {
        path = resolved_directory(path.parent_path()) / path.filename();
        std::error_code error;
        const fs::path target = fs::read_symlink(path, error);
        if (error) {
            return path;  // no link
        }
        path = path.parent_path() / target;
    }
    throw UserError("'" + database.string() + "' is a symbolic link that leads back to itself");
}

void check_database_name(const fs::path& resolved) {
    if (!is_valid_utf8(resolved.string())) {
        throw UserError("the path of the database, '" + printable(resolved.string()) +
                        "', is not UTF-8; expected --db FILE in a directory whose name is, or the directory "
                        "renamed");
    }
}

DatabasePlace place_of(const fs::path& resolved) {
    struct stat status {};
    if (stat(resolved.c_str(), &status) != 0) {
        throw UserError("cannot read the database '" + resolved.string() + "': " + std::strerror(errno));
    }
    if (!S_ISREG(status.st_mode)) {
        throw UserError("'" + resolved.string() + "' is not a file, so it cannot be a database" +
                        (S_ISDIR(status.st_mode) ? ": it is a directory" : ""));
    }
    if (status.st_nlink > 1) {
        throw UserError(
            "the database '" + resolved.string() + "' has " + std::to_string(status.st_nlink) +
            " names (hard links). SQLite finds the newest transactions by the name of the file, so a "
            "program that uses another name would not see them. Remove the other names, or use a copy: "
            "orchestrate backup, or cp while no study runs");
    }
    return {host_name(), resolved.string(), static_cast<std::int64_t>(status.st_dev),
            static_cast<std::int64_t>(status.st_ino)};
}

bool is_same_file(const DatabasePlace& recorded, const DatabasePlace& found) {
    if (recorded.inode != found.inode) {
        return false;
    }
    return recorded.path == found.path || recorded.host != found.host || recorded.device == found.device;
}

}  // namespace orchestrate
