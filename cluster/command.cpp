#include "cluster/command.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <system_error>

#include <sys/mman.h>
#include <unistd.h>

#include "cluster/child_process.h"

namespace orchestrate {

namespace {

// A file in memory that a child can open by name.
class MemoryFile {
  public:
    explicit MemoryFile(const char* name) : descriptor_(::memfd_create(name, MFD_CLOEXEC)) {
        if (descriptor_ < 0) {
            throw std::system_error(errno, std::generic_category(), "cannot keep the output of a command");
        }
    }
    ~MemoryFile() { ::close(descriptor_); }
    MemoryFile(const MemoryFile&) = delete;
    MemoryFile& operator=(const MemoryFile&) = delete;

    std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

    std::string text() const {
        std::string all;
        std::array<char, 4096> part{};
        ssize_t length = 0;
        while ((length = ::pread(descriptor_, part.data(), part.size(), static_cast<off_t>(all.size()))) >
               0) {
            all.append(part.data(), static_cast<std::size_t>(length));
        }
        return all;
    }

  private:
    int descriptor_;
};

}  // namespace

CommandResult run_command(const std::vector<std::string>& arguments, std::chrono::milliseconds limit) {
    CommandResult result;
    if (find_program(arguments.at(0)).empty()) {
        result.found = false;
        return result;
    }
    const MemoryFile output("output");
    const MemoryFile errors("errors");
    ChildProcess child =
        ChildProcess::start({arguments, current_environment(), output.path(), errors.path(), SIGKILL});
    if (!child.wait_for(limit)) {
        child.kill_tree();
    }
    std::optional<ExitStatus> status;
    while (!(status = child.poll())) {
        child.wait_for(std::chrono::hours(1));
    }
    result.exit_code = status->signal != 0 ? 128 + status->signal : status->exit_code;
    result.output = output.text();
    result.errors = errors.text();
    return result;
}

std::string find_program(const std::string& name) {
    if (name.find('/') != std::string::npos) {
        return ::access(name.c_str(), X_OK) == 0 ? name : std::string();
    }
    const char* const path = std::getenv("PATH");
    std::istringstream folders(path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin");
    for (std::string folder; std::getline(folders, folder, ':');) {
        std::string candidate = (folder.empty() ? "." : folder) + "/" + name;
        std::error_code error;
        if (::access(candidate.c_str(), X_OK) == 0 && std::filesystem::is_regular_file(candidate, error)) {
            return candidate;
        }
    }
    return {};
}

std::string shell_quoted(const std::string& text) {
    constexpr const char* plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+=.,:/@%";
    if (!text.empty() && text.find_first_not_of(plain) == std::string::npos) {
        return text;
    }
    std::string quoted = "'";
    for (const char character : text) {
        quoted += character == '\'' ? std::string("'\\''") : std::string(1, character);
    }
    return quoted + "'";
}

}  // namespace orchestrate
