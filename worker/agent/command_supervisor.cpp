#include "worker/agent/command_supervisor.h"

#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/command_guard.h"
#include "worker/agent/process_scan.h"

namespace orchestrate {
namespace {

constexpr unsigned kCloseOnExec = 1U << 2;  // CLOSE_RANGE_CLOEXEC
constexpr long kFirstPause = 1'000'000;     // ns between two rounds of killing
constexpr long kMaxPause = 500'000'000;
constexpr int kMaxRounds = 1200;  // some ten minutes; what lives on then cannot be killed

void fail(int pipe, StartStep step) {
    const StartFailure failure{step, errno};
    [[maybe_unused]] const ssize_t written = write(pipe, &failure, sizeof(failure));
}

[[noreturn]] void become_command(const SupervisedCommand& command, pid_t supervisor) {
    setpgid(0, 0);
    // Dies with the supervisor, should that be killed; what else the command has started has its mark.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != supervisor) {
        _exit(127);
    }
    for (int signal = 1; signal < NSIG; ++signal) {
        ::signal(signal, SIG_DFL);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    if (chdir(command.directory) != 0) {
        fail(command.failure, StartStep::directory);
        _exit(127);
    }
    const int input = open("/dev/null", O_RDONLY);
    if (input < 0 || dup2(input, STDIN_FILENO) < 0 || dup2(command.output, STDOUT_FILENO) < 0 ||
        dup2(command.errors, STDERR_FILENO) < 0) {
        fail(command.failure, StartStep::setup);
        _exit(127);
    }
    syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, kCloseOnExec);
    execve(command.program, command.arguments, command.variables);
    fail(command.failure, StartStep::run);
    _exit(127);
}

// All descriptors but two: the worker's sockets and files would seem to be in use after its end.
void keep_only(int control, int report) {
    dup2(control, STDIN_FILENO);
    dup2(report, STDOUT_FILENO);
    syscall(SYS_close_range, STDERR_FILENO, ~0U, 0);
}

class Supervisor {
  public:
    Supervisor(const SupervisedCommand& command, pid_t process) : command_(command), process_(process) {}

    [[noreturn]] void run() {
        timespec pause{0, kFirstPause};
        for (int round = 0; round < kMaxRounds;) {
            if (!reap()) {
                break;
            }
            const bool kills = has_ended_ || kills_;
            if (kills) {
                scan_.kill_descendants();
                ++round;
            }
            listen(kills ? &pause : nullptr);
            if (kills && pause.tv_nsec < kMaxPause) {
                pause.tv_nsec *= 2;
            }
        }
        if (worker_is_gone_) {
            remove_scratch();
        }
        _exit(0);
    }

  private:
    // False if no child is left.
    bool reap() {
        while (true) {
            if (!has_ended_) {
                siginfo_t info{};
                if (waitid(P_PID, static_cast<id_t>(process_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
                    info.si_pid != 0) {
                    kill(-process_, SIGKILL);  // its number cannot be reused before the wait below
                }
            }
            int status = 0;
            rusage usage{};
            const pid_t ended = wait4(-1, &status, WNOHANG, &usage);
            if (ended == process_) {
                report(status, usage);
            } else if (ended < 0 && errno == ECHILD) {
                return false;
            } else if (ended <= 0 && (ended == 0 || errno != EINTR)) {
                return true;
            }
        }
    }

    void report(int status, const rusage& usage) {
        has_ended_ = true;
        const CommandReport report{status, static_cast<std::int64_t>(usage.ru_maxrss) * 1024};
        [[maybe_unused]] const ssize_t written = write(STDOUT_FILENO, &report, sizeof(report));
    }

    // Until the worker asks for something, a child ends, or `limit`.
    void listen(const timespec* limit) {
        pollfd control{worker_is_gone_ ? -1 : STDIN_FILENO, POLLIN, 0};
        sigset_t none;
        sigemptyset(&none);
        if (ppoll(&control, 1, limit, &none) <= 0 || control.revents == 0) {
            return;
        }
        char request = 0;
        const ssize_t received = read(STDIN_FILENO, &request, 1);
        if (received == 0) {
            worker_is_gone_ = true;
            kills_ = true;
        } else if (received > 0 && request == kKillCommand) {
            kills_ = true;
        } else if (received > 0 && request == kAskToEnd && !has_ended_) {
            kill(-process_, SIGTERM);
        }
    }

    void remove_scratch() const {
        for (const char* file : command_.scratch_files) {
            if (file != nullptr) {
                unlink(file);
            }
        }
        if (command_.scratch_directory != nullptr) {
            rmdir(command_.scratch_directory);
        }
    }

    const SupervisedCommand& command_;
    pid_t process_;
    ProcessScan scan_;
    bool has_ended_ = false;
    bool kills_ = false;
    bool worker_is_gone_ = false;
};

}  // namespace

void supervise(const SupervisedCommand& command) {
    setpgid(0, 0);  // who kills the worker's group must not kill this
    for (int signal = 1; signal < NSIG; ++signal) {
        ::signal(signal, SIG_IGN);
    }
    ::signal(SIGCHLD, [](int) {});  // ends a wait
    sigset_t child_ended;
    sigemptyset(&child_ended);
    sigaddset(&child_ended, SIGCHLD);
    sigprocmask(SIG_SETMASK, &child_ended, nullptr);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    rename_process(kCommandGuardName);  // before a command can do anything to it
    const pid_t supervisor = getpid();
    const pid_t process = _Fork();
    if (process == 0) {
        become_command(command, supervisor);
    }
    if (process < 0) {
        fail(command.failure, StartStep::fork);
        _exit(0);
    }
    setpgid(process, process);  // whoever of the two is first
    keep_only(command.control, command.report);
    Supervisor(command, process).run();
}

}  // namespace orchestrate
