#include "worker/agent/command_scratch.h"

#include <cerrno>
#include <cstdlib>
#include <string_view>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/machine_trouble.h"
#include "worker/agent/process_mark.h"

namespace orchestrate {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void cannot(const std::string& what, const fs::path& path) {
    const int why = errno;
    throw std::system_error(why, std::generic_category(), what + " '" + path.string() + "'");
}

// Errors of a full file system appear when a file is written or closed.
void write_file(const fs::path& path, std::string_view content) {
    const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (file < 0) {
        cannot("cannot make", path);
    }
    while (!content.empty()) {
        const ssize_t written = write(file, content.data(), content.size());
        if (written < 0 && errno != EINTR) {
            const int why = errno;
            close(file);
            errno = why;
            cannot("cannot write", path);
        }
        content.remove_prefix(written < 0 ? 0 : static_cast<std::size_t>(written));
    }
    if (close(file) != 0) {
        cannot("cannot write", path);
    }
}

}  // namespace

CommandScratch::CommandScratch(const std::vector<fs::path>& places, const std::string& config) {
    std::string problems;
    int why = ENOSPC;
    for (const auto& place : places) {
        try {
            make_in(place, config);
            return;
        } catch (const std::system_error& error) {
            remove();
            why = error.code().value();
            problems += (problems.empty() ? "" : "; ") + std::string(error.what());
        }
    }
    throw MachineTrouble(why, "no place for the files of a command (" + problems + ")");
}

void CommandScratch::make_in(const fs::path& place, const std::string& config) {
    std::string pattern = (place / (kScratchPrefix + owner_mark() + "-XXXXXX")).string();
    if (mkdtemp(pattern.data()) == nullptr) {
        cannot("cannot make a directory in", place);
    }
    path_ = pattern;
    write_file(config_file(), config);
    if (mkfifo(metrics_file().c_str(), S_IRUSR | S_IWUSR) != 0) {
        cannot("cannot make the pipe", metrics_file());
    }
    descriptor_ = open(metrics_file().c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (descriptor_ < 0) {
        cannot("cannot open the pipe", metrics_file());
    }
}

void CommandScratch::remove() {
    if (descriptor_ >= 0) {
        close(descriptor_);
        descriptor_ = -1;
    }
    if (!path_.empty()) {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
        path_.clear();
    }
}

CommandScratch::~CommandScratch() {
    remove();
}

std::vector<fs::path> scratch_places() {
    std::vector<fs::path> places;
    if (const fs::path in_memory = "/dev/shm"; access(in_memory.c_str(), W_OK | X_OK) == 0) {
        places.push_back(in_memory);
    }
    std::error_code none;
    if (const fs::path temporary = fs::temp_directory_path(none); !none) {
        places.push_back(temporary);
    }
    for (const char* other : {"/tmp", "/var/tmp"}) {
        if (places.empty() || places.back() != other) {
            places.emplace_back(other);
        }
    }
    return places;
}

}  // namespace orchestrate
