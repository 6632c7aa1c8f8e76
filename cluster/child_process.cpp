#include "cluster/child_process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <climits>
#include <csignal>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <system_error>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/command_guard.h"

namespace orchestrate {

namespace {

// What a child that cannot become the program tells its parent through a pipe.
struct StartFailure {
    enum class Step : int { open_output, enter_group, run } step;
    int error_number;
};

std::string describe(const StartFailure& failure, const ChildCommand& command) {
    std::string what;
    switch (failure.step) {
        case StartFailure::Step::open_output:
            what = "cannot write its output to " + command.output_file.string();
            break;
        case StartFailure::Step::enter_group:
            what = "cannot give it a process group";
            break;
        case StartFailure::Step::run:
            what = "cannot run the program";
            break;
    }
    return "cannot start " + command.arguments.at(0) + ": " + what + ": " +
           std::generic_category().message(failure.error_number);
}

// Everything the child needs, prepared before the fork: after it only async-signal-safe calls are allowed.
struct PreparedChild {
    std::vector<std::string> arguments;
    std::vector<std::string> variables;
    std::string output_file;
    std::string error_file;
    int parent_death_signal;
    pid_t parent;
};

int open_for_appending(const std::string& file) {
    return ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
}

[[noreturn]] void report_and_exit(int failure_pipe, StartFailure::Step step) {
    const StartFailure failure{step, errno};
    [[maybe_unused]] const ssize_t written = ::write(failure_pipe, &failure, sizeof(failure));
    ::_exit(127);
}

[[noreturn]] void become_program(const PreparedChild& child, char* const* arguments, char* const* variables,
                                 int failure_pipe) {
    for (int signal = 1; signal < NSIG; ++signal) {
        ::signal(signal, SIG_DFL);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    if (::setpgid(0, 0) != 0) {
        report_and_exit(failure_pipe, StartFailure::Step::enter_group);
    }
    if (child.parent_death_signal != 0) {
        ::prctl(PR_SET_PDEATHSIG, child.parent_death_signal);
        if (::getppid() != child.parent) {  // it died before the kernel knew
            ::_exit(127);
        }
    }
    const int input = ::open("/dev/null", O_RDONLY);
    const int output = open_for_appending(child.output_file);
    const int errors = child.error_file.empty() ? output : open_for_appending(child.error_file);
    if (input < 0 || output < 0 || errors < 0 || ::dup2(input, STDIN_FILENO) < 0 ||
        ::dup2(output, STDOUT_FILENO) < 0 || ::dup2(errors, STDERR_FILENO) < 0) {
        report_and_exit(failure_pipe, StartFailure::Step::open_output);
    }
    // Nothing of ours leaks into it: sockets and database files stay here (the pipe closes itself by exec).
    constexpr unsigned close_range_cloexec = 1U << 2;
    ::syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, close_range_cloexec);
    ::execvpe(arguments[0], arguments, variables);
    report_and_exit(failure_pipe, StartFailure::Step::run);
}

// The fields of /proc/PID/stat after the name, from the state on; empty if the process is gone.
std::vector<std::string> stat_fields(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    const std::size_t name_end = text.rfind(')');
    if (name_end == std::string::npos) {
        return {};
    }
    std::istringstream words(text.substr(name_end + 1));
    return {std::istream_iterator<std::string>(words), std::istream_iterator<std::string>()};
}

constexpr std::size_t kParentField = 1;
constexpr std::size_t kStartField = 19;

template <class Number>
std::optional<Number> number_in(const std::vector<std::string>& fields, std::size_t index) {
    Number number = 0;
    if (index >= fields.size()) {
        return std::nullopt;
    }
    const std::string& text = fields[index];
    return std::from_chars(text.data(), text.data() + text.size(), number).ec == std::errc()
               ? std::optional(number)
               : std::nullopt;
}

}  // namespace

ChildProcess ChildProcess::start(const ChildCommand& command) {
    PreparedChild child{command.arguments,
                        environment_texts(command.environment),
                        "/dev/null",
                        command.error_file.string(),
                        command.parent_death_signal,
                        ::getpid()};
    if (!command.output_file.empty()) {
        child.output_file = command.output_file.string();
    }
    const std::vector<char*> arguments = pointers_to(child.arguments);
    const std::vector<char*> variables = pointers_to(child.variables);

    std::array<int, 2> failure_pipe{};
    if (::pipe2(failure_pipe.data(), O_CLOEXEC) != 0) {
        throw std::system_error(errno, std::generic_category(), "cannot start " + command.arguments.at(0));
    }
    const pid_t pid = ::fork();
    if (pid == 0) {
        become_program(child, arguments.data(), variables.data(), failure_pipe[1]);
    }
    const int fork_error = errno;
    ::close(failure_pipe[1]);
    if (pid < 0) {
        ::close(failure_pipe[0]);
        throw std::system_error(fork_error, std::generic_category(),
                                "cannot start " + command.arguments.at(0));
    }
    StartFailure failure{};
    ssize_t received = 0;
    do {
        received = ::read(failure_pipe[0], &failure, sizeof(failure));
    } while (received < 0 && errno == EINTR);
    ::close(failure_pipe[0]);
    if (received == static_cast<ssize_t>(sizeof(failure))) {
        ::waitpid(pid, nullptr, 0);
        throw std::runtime_error(describe(failure, command));
    }
    return ChildProcess(pid);
}

std::optional<ExitStatus> ChildProcess::poll() {
    siginfo_t info{};
    if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid == 0) {
        return std::nullopt;
    }
    ::kill(-pid_, SIGKILL);  // its number cannot be reused before the wait below
    int status = 0;
    ::waitpid(pid_, &status, 0);
    if (WIFSIGNALED(status)) {
        return ExitStatus{0, WTERMSIG(status)};
    }
    return ExitStatus{WEXITSTATUS(status), 0};
}

bool ChildProcess::wait_for(std::chrono::milliseconds limit) const {
    const int descriptor = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
    if (descriptor < 0) {
        throw std::system_error(errno, std::generic_category(),
                                "cannot wait for process " + std::to_string(pid_));
    }
    pollfd ended{descriptor, POLLIN, 0};
    const auto deadline = std::chrono::steady_clock::now() + limit;
    int ready = 0;
    do {
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
        ready = ::poll(&ended, 1, static_cast<int>(std::clamp<std::int64_t>(left, 0, INT_MAX)));
    } while (ready < 0 && errno == EINTR);
    ::close(descriptor);
    return ready > 0;
}

void ChildProcess::signal_group(int signal) const {
    ::kill(-pid_, signal);
}

void ChildProcess::kill_tree() const {
    std::vector<pid_t> tree{pid_};
    for (std::size_t next = 0; next < tree.size(); ++next) {
        ::kill(tree[next], SIGSTOP);  // so that it starts no more while we look
        for (const pid_t child : children_of(tree[next])) {
            if (process_name(child) == kCommandGuardName) {
                ::kill(child, SIGCONT);  // its command may have stopped it
            } else {
                tree.push_back(child);
            }
        }
    }
    for (const pid_t pid : tree) {
        ::kill(pid, SIGKILL);
    }
    ::kill(-pid_, SIGKILL);
}

std::vector<pid_t> children_of(pid_t pid) {
    std::vector<pid_t> children;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
        const std::string name = entry.path().filename().string();
        pid_t candidate = 0;
        const auto parsed = std::from_chars(name.data(), name.data() + name.size(), candidate);
        if (parsed.ec == std::errc() && parsed.ptr == name.data() + name.size() &&
            number_in<pid_t>(stat_fields(candidate), kParentField) == pid) {
            children.push_back(candidate);
        }
    }
    return children;
}

std::optional<ProcessIdentity> identity_of(pid_t pid) {
    const auto start = number_in<std::uint64_t>(stat_fields(pid), kStartField);
    return start ? std::optional(ProcessIdentity{pid, *start}) : std::nullopt;
}

void signal_process(const ProcessIdentity& process, int signal) {
    const auto found = identity_of(process.pid);
    if (found && found->start_ticks == process.start_ticks) {
        ::kill(process.pid, signal);
    }
}

std::string process_name(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/comm");
    std::string name;
    std::getline(file, name);
    return name;
}

}  // namespace orchestrate
