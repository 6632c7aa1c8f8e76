#include "coordinator/database_lock.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/host.h"
#include "common/time_text.h"
#include "coordinator/job_store.h"

namespace orchestrate {

DatabaseLock::DatabaseLock(const std::filesystem::path& database) {
    const auto folder = state_folder(database);
    if (mkdir(folder.c_str(), S_IRWXU) != 0 && errno != EEXIST) {
        throw UserError("cannot make the folder '" + folder.string() + "' beside the database: " +
                        std::strerror(errno) + "; name another database with --db FILE");
    }
    const auto path = folder / "lock";
    file_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (file_ < 0) {
        throw UserError("cannot open '" + path.string() + "': " + std::strerror(errno));
    }
    // An fcntl lock, since these reach over NFS too; it ends with the process.
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    if (fcntl(file_, F_SETLK, &lock) != 0) {
        std::array<char, 512> holder{};
        const ssize_t size = pread(file_, holder.data(), holder.size() - 1, 0);
        close(file_);
        throw UserError("the database '" + database.string() + "' is in use by another coordinator: " +
                        (size > 0 ? std::string(holder.data(), static_cast<std::size_t>(size)) : "unknown") +
                        "; look at it with `orchestrate status`, or name another database with --db FILE");
    }
    const std::string holder = "process " + std::to_string(getpid()) + " on " + host_name() + " since " +
                               utc_time_text(std::chrono::system_clock::now());
    if (ftruncate(file_, 0) != 0 ||
        pwrite(file_, holder.data(), holder.size(), 0) != static_cast<ssize_t>(holder.size())) {
        const int why = errno;
        close(file_);
        throw UserError("cannot write '" + path.string() + "': " + std::strerror(why));
    }
}

DatabaseLock::~DatabaseLock() {
    close(file_);
}

}  // namespace orchestrate
