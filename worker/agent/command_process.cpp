#include "worker/agent/command_process.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <system_error>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"

namespace orchestrate {
namespace {

constexpr std::size_t kMostAtATime = 1U << 20;       // bytes that are read from a pipe
constexpr std::chrono::milliseconds kLookAgain{10};  // where an end cannot be waited for

// A pipe whose reading end does not wait.
std::array<int, 2> make_pipe() {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) {
        throw std::system_error(errno, std::generic_category(), "cannot make a pipe");
    }
    fcntl(ends[0], F_SETFL, fcntl(ends[0], F_GETFL) | O_NONBLOCK);
    return ends;
}

// What a child is started with; freed at the end.
struct SpawnSettings {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;

    SpawnSettings() {
        posix_spawn_file_actions_init(&actions);
        posix_spawnattr_init(&attributes);
    }
    ~SpawnSettings() {
        posix_spawn_file_actions_destroy(&actions);
        posix_spawnattr_destroy(&attributes);
    }
    SpawnSettings(const SpawnSettings&) = delete;
    SpawnSettings& operator=(const SpawnSettings&) = delete;
};

}  // namespace

CommandProcess::CommandProcess(const CommandStart& start) {
    std::error_code unknown;
    if (!std::filesystem::is_directory(start.folder, unknown)) {
        throw UserError("the command's folder '" + start.folder.string() +
                        "' is no folder on this host; expected one that every worker sees");
    }
    std::vector<std::string> arguments = start.arguments;
    std::vector<std::string> variables = environment_texts(start.environment);
    const auto output = make_pipe();
    const auto errors = make_pipe();
    output_ = output[0];
    errors_ = errors[0];

    SpawnSettings settings;
    posix_spawn_file_actions_addchdir_np(&settings.actions, start.folder.c_str());
    posix_spawn_file_actions_addopen(&settings.actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&settings.actions, output[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&settings.actions, errors[1], STDERR_FILENO);
    posix_spawn_file_actions_addclosefrom_np(&settings.actions, STDERR_FILENO + 1);
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&settings.attributes, &none);
    posix_spawnattr_setsigdefault(&settings.attributes, &all);
    posix_spawnattr_setpgroup(&settings.attributes, 0);
    posix_spawnattr_setflags(&settings.attributes,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    const int why = posix_spawnp(&process_, arguments.at(0).c_str(), &settings.actions, &settings.attributes,
                                 pointers_to(arguments).data(), pointers_to(variables).data());
    close(output[1]);
    close(errors[1]);
    if (why != 0) {
        close(output_);
        close(errors_);
        const std::string expected =
            why == ENOENT ? "; expected a program in PATH, or a path from '" + start.folder.string() + "'"
                          : "";
        throw UserError("cannot run '" + start.arguments[0] + "': " + std::strerror(why) + expected);
    }
    descriptor_ = static_cast<int>(syscall(SYS_pidfd_open, process_, 0));
}

CommandProcess::~CommandProcess() {
    if (!ended_) {
        signal(SIGKILL);
        while (waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
        }
    }
    for (const int descriptor : {descriptor_, output_, errors_}) {
        if (descriptor >= 0) {
            close(descriptor);
        }
    }
}

void CommandProcess::wait(int other, std::chrono::milliseconds limit) const {
    std::array<pollfd, 4> all{pollfd{other, POLLIN, 0}, pollfd{descriptor_, POLLIN, 0},
                              pollfd{output_, POLLIN, 0}, pollfd{errors_, POLLIN, 0}};
    for (auto& entry : all) {
        // A pipe that its writers have left would end every wait at once.
        pollfd alone = entry;
        if (entry.fd >= 0 && ::poll(&alone, 1, 0) > 0 && (alone.revents & (POLLIN | POLLHUP)) == POLLHUP) {
            entry.fd = -1;
        }
    }
    const auto longest = descriptor_ < 0 ? std::min(limit, kLookAgain) : limit;
    ::poll(all.data(), all.size(), static_cast<int>(longest.count()));
}

std::string CommandProcess::read_output() {
    return read_available(output_);
}

std::string CommandProcess::read_errors() {
    return read_available(errors_);
}

std::optional<CommandExit> CommandProcess::poll() {
    siginfo_t info{};
    if (waitid(P_PID, static_cast<id_t>(process_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid == 0) {
        return std::nullopt;
    }
    signal(SIGKILL);  // its number cannot be reused before the wait below
    int status = 0;
    rusage usage{};
    while (wait4(process_, &status, 0, &usage) < 0 && errno == EINTR) {
    }
    ended_ = true;
    CommandExit exit;
    exit.peak_memory_bytes = static_cast<std::int64_t>(usage.ru_maxrss) * 1024;
    (WIFSIGNALED(status) ? exit.signal : exit.code) =
        WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    return exit;
}

void CommandProcess::signal(int signal) const {
    kill(-process_, signal);
}

std::string read_available(int descriptor) {
    std::string text;
    std::array<char, 16384> buffer{};
    while (text.size() < kMostAtATime) {
        const ssize_t received = ::read(descriptor, buffer.data(), buffer.size());
        if (received > 0) {
            text.append(buffer.data(), static_cast<std::size_t>(received));
        } else if (received == 0 || errno != EINTR) {
            break;
        }
    }
    return text;
}

}  // namespace orchestrate
