#include "coordinator/database/state_directory.h"

#include <cerrno>
#include <cstring>
#include <optional>
#include <string>

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/protocol/database_place.h"

namespace orchestrate {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSubdirectories[] = {"checkpoints", "models", "logs"};
constexpr const char* kAnotherDatabase = "; or name another database with --db FILE";

std::string name_of_user(uid_t user) {
    const passwd* entry = getpwuid(user);
    return entry != nullptr ? std::string("user ") + entry->pw_name : "user number " + std::to_string(user);
}

// Of a file that this process makes there: file systems that map users (root on NFS, FUSE) give it another one's.
std::optional<uid_t> owner_of_new_files(const fs::path& directory) {
    const fs::path probe = directory / ("owner-check-" + std::to_string(getpid()));
    const int file =
        open(probe.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
    if (file < 0) {
        return std::nullopt;
    }
    struct stat status {};
    const bool known = fstat(file, &status) == 0;
    close(file);
    unlink(probe.c_str());
    return known ? std::optional(status.st_uid) : std::nullopt;
}

bool is_owner_accepted(const struct stat& directory, const fs::path& path, const fs::path& database) {
    if (directory.st_uid == geteuid() || owner_of_new_files(path) == directory.st_uid) {
        return true;
    }
    struct stat file {};
    return geteuid() == 0 && stat(database.c_str(), &file) == 0 && file.st_uid == directory.st_uid;
}

void refuse_link(const fs::path& path, const fs::path& database) {
    struct stat status {};
    if (lstat(path.c_str(), &status) == 0 && S_ISLNK(status.st_mode)) {
        throw UserError(
            "'" + path.string() +
            "' is a symbolic link, which a copy of its directory would share with the original. To keep "
            "these files on another disk, move the database there with its directory and make '" +
            database.string() + "' a symbolic link to it" + kAnotherDatabase);
    }
}

}  // namespace

fs::path state_folder(const fs::path& database) {
    return resolve_database(database).string() + ".d";
}

void prepare_state_directory(const fs::path& database) {
    const fs::path directory = state_folder(database);
    if (mkdir(directory.c_str(), S_IRWXU) != 0 && errno != EEXIST) {
        throw UserError("cannot make the directory '" + directory.string() + "' beside the database: " +
                        std::strerror(errno) + "; name another database with --db FILE");
    }
    refuse_link(directory, database);
    struct stat status {};
    if (lstat(directory.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) {
        throw UserError(
            "'" + directory.string() +
            "' must be the directory of the database's logs and checkpoints, and is something else; move "
            "it away" +
            kAnotherDatabase);
    }
    if (!is_owner_accepted(status, directory, database)) {
        throw UserError(
            "'" + directory.string() + "' belongs to " + name_of_user(status.st_uid) + ", not to you (" +
            name_of_user(geteuid()) +
            "), so what is in it cannot be relied on. If it is yours, fix it with: sudo chown -R " +
            std::to_string(geteuid()) + " '" + directory.string() + "'" + kAnotherDatabase);
    }
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        throw UserError("other users can write to '" + directory.string() + "'; fix it with: chmod 700 '" +
                        directory.string() + "'" + kAnotherDatabase);
    }
    for (const char* name : kSubdirectories) {
        refuse_link(directory / name, database);
    }
}

}  // namespace orchestrate
