#include "worker/agent/process_guard.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <system_error>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace orchestrate {
namespace {

// Only async-signal-safe calls: other threads may have held any lock when the process was forked.
[[noreturn]] void guard(int pipe_end) {
    setpgid(0, 0);  // who kills the worker's group must not kill this
    for (int signal = 1; signal < NSIG; ++signal) {
        ::signal(signal, SIG_IGN);
    }
    prctl(PR_SET_NAME, "command-guard");
    // Held open here, the worker's sockets and files would seem to be in use after its end.
    dup2(pipe_end, STDIN_FILENO);
    syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0);
    pid_t group = 0;
    while (true) {
        pid_t next = 0;
        const ssize_t received = read(STDIN_FILENO, &next, sizeof(next));
        if (received == static_cast<ssize_t>(sizeof(next))) {
            group = next;
        } else if (received >= 0 || errno != EINTR) {
            break;
        }
    }
    if (group > 0) {
        kill(-group, SIGKILL);
    }
    _exit(0);
}

}  // namespace

ProcessGuard::ProcessGuard() {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) {
        throw std::system_error(errno, std::generic_category(), "cannot make a pipe");
    }
    guard_ = fork();
    if (guard_ == 0) {
        close(ends[1]);
        guard(ends[0]);
    }
    const int why = errno;
    close(ends[0]);
    if (guard_ < 0) {
        close(ends[1]);
        throw std::system_error(why, std::generic_category(), "cannot start a process");
    }
    pipe_ = ends[1];
}

ProcessGuard::~ProcessGuard() {
    close(pipe_);
    while (waitpid(guard_, nullptr, 0) < 0 && errno == EINTR) {
    }
}

void ProcessGuard::watch(pid_t group) {
    // Fits into the pipe, and so is written whole. Without a guard the command runs on unguarded.
    [[maybe_unused]] const ssize_t written = write(pipe_, &group, sizeof(group));
}

}  // namespace orchestrate
