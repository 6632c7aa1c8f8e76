#include "coordinator/database_lock.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/host.h"
#include "common/json.h"
#include "common/time_text.h"
#include "coordinator/job_store.h"

namespace orchestrate {
namespace {

int open_lock(const std::filesystem::path& path) {
    const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (file < 0) {
        throw UserError("cannot open '" + path.string() + "': " + std::strerror(errno));
    }
    return file;
}

// Nothing if the last holder has ended in order, or its name was lost in a power cut.
std::optional<LockHolder> read_holder(int file) {
    std::array<char, 1024> text{};
    const ssize_t size = pread(file, text.data(), text.size(), 0);
    if (size <= 0) {
        return std::nullopt;
    }
    const auto json = Json::parse(text.data(), text.data() + size, nullptr, false);
    if (!json.is_object()) {
        return std::nullopt;
    }
    return json.get<LockHolder>();
}

// By the clock that stamps files there, which is the server's on a network file system.
double seconds_since_heartbeat(int file, const std::filesystem::path& folder) {
    const auto probe = folder / ("lock-clock-" + std::to_string(getpid()));
    const int probe_file = open_lock(probe);
    struct stat now {};
    struct stat beat {};
    const bool known =
        futimens(probe_file, nullptr) == 0 && fstat(probe_file, &now) == 0 && fstat(file, &beat) == 0;
    close(probe_file);
    unlink(probe.c_str());
    return known ? std::difftime(now.st_mtime, beat.st_mtime) : 0;
}

std::string describe(const LockHolder& holder) {
    return "process " + std::to_string(holder.process_id) + " on " + holder.host + " since " + holder.since;
}

}  // namespace

DatabaseLock::DatabaseLock(const std::filesystem::path& database, bool take_over)
    : database_(database),
      path_(state_folder(database) / "lock"),
      self_{host_name(), getpid(), utc_now_text()} {
    const auto folder = state_folder(database);
    if (mkdir(folder.c_str(), S_IRWXU) != 0 && errno != EEXIST) {
        throw UserError("cannot make the folder '" + folder.string() + "' beside the database: " +
                        std::strerror(errno) + "; name another database with --db FILE");
    }
    file_ = open_lock(path_);
    try {
        const bool locked = lock_file();
        const auto holder = read_holder(file_);
        const bool elsewhere = holder && holder->host != self_.host;
        const double silent = elsewhere ? seconds_since_heartbeat(file_, folder) : 0;
        const std::string in_use =
            "the database '" + database.string() +
            "' is in use by another coordinator: " + (holder ? describe(*holder) : "unknown");
        const std::string heard =
            ", heard of " + duration_text(std::chrono::duration<double>(silent)) + " ago";
        if (elsewhere && silent >= kHeartbeatLimitSeconds) {
            if (!take_over) {
                throw UserError(in_use + heard +
                                "; if it is certain that it runs no more, take the database over " +
                                "with --take-over");
            }
            if (!locked) {
                // The dead host's lock may stand for ever: a new file in its place.
                close(file_);
                const auto fresh = folder / ("lock-" + std::to_string(getpid()));
                file_ = open_lock(fresh);
                if (!lock_file() || rename(fresh.c_str(), path_.c_str()) != 0) {
                    throw UserError("cannot replace '" + path_.string() + "': " + std::strerror(errno));
                }
            }
        } else if (elsewhere || !locked) {
            throw DatabaseHeld(
                in_use + (elsewhere ? heard : "") +
                "; look at it with `orchestrate status`, or name another database with --db FILE");
        }
        write_holder();
    } catch (...) {
        close(file_);
        throw;
    }
}

// An fcntl lock, since these reach over NFS too; it ends with the process.
bool DatabaseLock::lock_file() {
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    return fcntl(file_, F_SETLK, &lock) == 0;
}

void DatabaseLock::write_holder() {
    const std::string text = Json(self_).dump();
    if (ftruncate(file_, 0) != 0 ||
        pwrite(file_, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
        throw UserError("cannot write '" + path_.string() + "': " + std::strerror(errno));
    }
}

void DatabaseLock::heartbeat() {
    futimens(file_, nullptr);  // that it fails is seen by the age of the last one
    struct stat own {};
    struct stat found {};
    if (fstat(file_, &own) != 0 || stat(path_.c_str(), &found) != 0) {
        return;  // the folder is out of reach for the moment, for others too
    }
    std::optional<LockHolder> holder;
    if (own.st_ino == found.st_ino) {
        holder = read_holder(file_);
    } else {
        const int current = open_lock(path_);
        holder = read_holder(current);
        close(current);
    }
    if (holder && *holder != self_) {
        throw UserError("the database '" + database_.string() + "' was taken over by " + describe(*holder));
    }
}

DatabaseLock::~DatabaseLock() {
    if (read_holder(file_) == self_) {
        // Nobody holds it any more: the next one, on whatever host, need not ask.
        [[maybe_unused]] const int ignored = ftruncate(file_, 0);
    }
    close(file_);
}

}  // namespace orchestrate
