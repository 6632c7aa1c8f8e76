#include "worker/agent/command_process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"
#include "common/machine_trouble.h"
#include "worker/agent/command_supervisor.h"
#include "worker/agent/process_mark.h"

namespace orchestrate {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int kStartLook = 100;                // ms
constexpr std::size_t kMaxAtATime = 1U << 20;  // bytes that are read from a pipe
constexpr std::chrono::milliseconds kEndLimit{
    5000};  // for the rest of the processes when this one is destroyed

class Descriptor {
  public:
    Descriptor() = default;
    explicit Descriptor(int number) : number_(number) {}
    ~Descriptor() { close(); }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

    int get() const { return number_; }
    int release() { return std::exchange(number_, -1); }
    void reset(int number) {
        close();
        number_ = number;
    }
    void close() {
        if (number_ >= 0) {
            ::close(std::exchange(number_, -1));
        }
    }

  private:
    int number_ = -1;
};

struct Pipe {
    enum class Kind { pipe, socket };
    Descriptor reader;
    Descriptor writer;

    // Both ends above standard error, so that a child can put them into its standard descriptors in any order.
    explicit Pipe(Kind kind = Kind::pipe) {
        std::array<int, 2> ends{};
        const int failed = kind == Kind::pipe
                               ? pipe2(ends.data(), O_CLOEXEC)
                               : socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data());
        if (failed != 0) {
            throw MachineTrouble(errno, "cannot make a pipe");
        }
        reader.reset(ends[0]);
        writer.reset(ends[1]);
        for (Descriptor* end : {&reader, &writer}) {
            if (end->get() <= STDERR_FILENO) {
                const int moved = fcntl(end->get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
                if (moved < 0) {
                    throw MachineTrouble(errno, "cannot make a pipe");
                }
                end->reset(moved);
            }
        }
    }
};

void do_not_wait(int descriptor) {
    fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
}

[[noreturn]] void cannot_run(const std::string& program, int why, const std::string& expected = "") {
    throw UserError("cannot run '" + program + "': " + std::strerror(why) + expected);
}

bool is_program(const fs::path& path, int& why) {
    std::error_code error;
    if (!fs::is_regular_file(path, error)) {
        return false;
    }
    if (access(path.c_str(), X_OK) != 0) {
        why = errno;
        return false;
    }
    return true;
}

// The path of the program, as execve() in `directory` finds it.
std::string find_program(const std::string& name, const CommandStart& start) {
    if (name.find('/') != std::string::npos) {
        return name;
    }
    const auto variable = start.environment.find("PATH");
    const std::string places =
        variable == start.environment.end() ? "/usr/local/bin:/usr/bin:/bin" : variable->second;
    int why = ENOENT;
    for (std::size_t begin = 0; begin <= places.size();) {
        const std::size_t end = std::min(places.find(':', begin), places.size());
        const fs::path place = places.substr(begin, end - begin);
        if (is_program(start.directory / place / name, why)) {
            return (start.directory / place / name).string();
        }
        begin = end + 1;
    }
    cannot_run(name, why,
               why == ENOENT
                   ? "; expected a program in PATH, or a path from '" + start.directory.string() + "'"
                   : "");
}

bool is_shortage(int error_number) {
    for (const int shortage : {EAGAIN, ENOMEM, EMFILE, ENFILE, EIO, ENOSPC, ETXTBSY}) {
        if (error_number == shortage) {
            return true;
        }
    }
    return false;
}

// Returns if the command runs.
void check_start(int failure_pipe, pid_t supervisor, const CommandStart& start) {
    // A command that runs already may have stopped the supervisor before that has closed its end.
    for (pollfd entry{failure_pipe, POLLIN, 0}; ::poll(&entry, 1, kStartLook) <= 0;) {
        ::kill(supervisor, SIGCONT);
    }
    StartFailure failure{};
    ssize_t received = 0;
    do {
        received = read(failure_pipe, &failure, sizeof(failure));
    } while (received < 0 && errno == EINTR);
    if (received != static_cast<ssize_t>(sizeof(failure))) {
        return;
    }
    const std::string& program = start.arguments[0];
    if (failure.step == StartStep::directory && !is_shortage(failure.error_number)) {
        throw UserError("the command's directory '" + start.directory.string() +
                        "' cannot be entered: " + std::strerror(failure.error_number));
    }
    if (failure.step != StartStep::run || is_shortage(failure.error_number)) {
        throw MachineTrouble(failure.error_number, "cannot start '" + program + "'");
    }
    const char* expected = "";
    if (failure.error_number == ENOEXEC) {
        expected =
            "; expected a program of this machine, or a script that begins with #! and its interpreter";
    } else if (failure.error_number == ENOENT && program.find('/') != std::string::npos) {
        expected = "; neither it nor the interpreter that its first line names may be missing";
    }
    cannot_run(program, failure.error_number, expected);
}

}  // namespace

CommandProcess::CommandProcess(const CommandStart& start) {
    std::error_code unknown;
    if (!fs::is_directory(start.directory, unknown)) {
        throw UserError("the command's directory '" + start.directory.string() +
                        "' is not a directory on this host; expected one that every worker sees");
    }
    const auto mark = start.environment.find(kProcessMarkVariable);
    mark_ = mark == start.environment.end() ? "" : mark->second;
    this->start(start, find_program(start.arguments.at(0), start));
}

void CommandProcess::start(const CommandStart& start, const std::string& program) {
    std::vector<std::string> arguments = start.arguments;
    std::vector<std::string> variables = environment_texts(start.environment);
    const std::vector<char*> argument_pointers = pointers_to(arguments);
    const std::vector<char*> variable_pointers = pointers_to(variables);
    Pipe output;
    Pipe errors;
    Pipe failure;
    Pipe control(Pipe::Kind::socket);  // so that a supervisor that is gone is no SIGPIPE
    Pipe report;
    SupervisedCommand supervised{
        program.c_str(),          argument_pointers.data(),
        variable_pointers.data(), start.directory.c_str(),
        output.writer.get(),      errors.writer.get(),
        failure.writer.get(),     control.reader.get(),
        report.writer.get(),      start.scratch.empty() ? nullptr : start.scratch.c_str(),
        {nullptr, nullptr}};
    for (std::size_t i = 0; i < std::min<std::size_t>(2, start.scratch_files.size()); ++i) {
        supervised.scratch_files[i] = start.scratch_files[i].c_str();
    }
    supervisor_ = fork();
    if (supervisor_ == 0) {
        supervise(supervised);
    }
    if (supervisor_ < 0) {
        throw MachineTrouble(errno, "cannot start a process");
    }
    for (Descriptor* end :
         {&output.writer, &errors.writer, &failure.writer, &control.reader, &report.writer}) {
        end->close();
    }
    try {
        check_start(failure.reader.get(), supervisor_, start);
    } catch (...) {
        control.writer.close();
        while (waitpid(supervisor_, nullptr, 0) < 0 && errno == EINTR) {
        }
        throw;
    }
    for (const int reader : {output.reader.get(), errors.reader.get(), report.reader.get()}) {
        do_not_wait(reader);
    }
    output_ = output.reader.release();
    errors_ = errors.reader.release();
    control_ = control.writer.release();
    report_ = report.reader.release();
}

CommandProcess::~CommandProcess() {
    close(control_);  // the supervisor kills what there is, and ends
    wait_for_all(kEndLimit);
    for (const int descriptor : {report_, output_, errors_}) {
        close(descriptor);
    }
    // One that cannot end, since what it kills does not die, is left to end by itself.
    while (waitpid(supervisor_, nullptr, all_ended_ ? 0 : WNOHANG) < 0 && errno == EINTR) {
    }
}

void CommandProcess::wait(int other, std::chrono::milliseconds limit) const {
    ::kill(supervisor_, SIGCONT);  // a command may have stopped it, and would never end then
    std::array<pollfd, 4> all{pollfd{other, POLLIN, 0}, pollfd{report_, POLLIN, 0},
                              pollfd{output_, POLLIN, 0}, pollfd{errors_, POLLIN, 0}};
    for (auto& entry : all) {
        // A pipe that its writers have left would end every wait at once.
        pollfd alone = entry;
        if (entry.fd != report_ && entry.fd >= 0 && ::poll(&alone, 1, 0) > 0 &&
            (alone.revents & (POLLIN | POLLHUP)) == POLLHUP) {
            entry.fd = -1;
        }
    }
    ::poll(all.data(), all.size(), static_cast<int>(limit.count()));
}

std::string CommandProcess::read_output() {
    return read_available(output_);
}

std::string CommandProcess::read_errors() {
    return read_available(errors_);
}

std::optional<CommandExit> CommandProcess::poll() {
    CommandReport report{};
    const ssize_t received = read(report_, &report, sizeof(report));
    if (received < 0) {
        return std::nullopt;
    }
    CommandExit exit;
    if (received != static_cast<ssize_t>(sizeof(report))) {
        // Somebody has killed the supervisor, and the kernel the command with it. What else it started has its mark.
        all_ended_ = true;
        kill_marked(mark_);
        exit.signal = SIGKILL;
        return exit;
    }
    exit.peak_memory_bytes = report.peak_memory_bytes;
    (WIFSIGNALED(report.status) ? exit.signal : exit.code) =
        WIFSIGNALED(report.status) ? WTERMSIG(report.status) : WEXITSTATUS(report.status);
    return exit;
}

bool CommandProcess::wait_for_all(std::chrono::milliseconds limit) {
    const auto deadline = Clock::now() + limit;
    while (!all_ended_) {
        CommandReport report{};
        const ssize_t received = read(report_, &report, sizeof(report));
        if (received == 0) {
            all_ended_ = true;
        } else if (received < 0) {
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
            if (left <= 0) {
                return false;
            }
            pollfd entry{report_, POLLIN, 0};
            ::poll(&entry, 1, static_cast<int>(left));
        }
    }
    return true;
}

void CommandProcess::ask_to_end() const {
    request(kAskToEnd);
}

void CommandProcess::kill() const {
    request(kKillCommand);
}

void CommandProcess::request(char request) const {
    [[maybe_unused]] const ssize_t sent = send(control_, &request, 1, MSG_NOSIGNAL);
}

std::string read_available(int descriptor) {
    std::string text;
    std::array<char, 16384> buffer{};
    while (text.size() < kMaxAtATime) {
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
