#include "cluster/command.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <system_error>

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cluster/child_process.h"

namespace orchestrate {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kCannotStart = 126;
constexpr int kKilled = 128 + SIGKILL;
// A killed process that the kernel does not let go of (a hanging network file system) is left behind after this long.
constexpr std::chrono::seconds kReapTimeout{2};

// What a child writes, read without waiting for more. The child opens the other end by name.
class OutputPipe {
  public:
    OutputPipe() {
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
            throw std::system_error(errno, std::generic_category(), "cannot make a pipe");
        }
        read_end_ = ends[0];
        write_end_ = ends[1];
    }
    ~OutputPipe() {
        ::close(read_end_);
        close_write_end();
    }
    OutputPipe(const OutputPipe&) = delete;
    OutputPipe& operator=(const OutputPipe&) = delete;

    std::string path() const { return "/proc/self/fd/" + std::to_string(write_end_); }
    int read_end() const { return read_end_; }
    bool is_at_end() const { return at_end_; }
    std::string take_text() { return std::move(text_); }

    void close_write_end() {
        if (write_end_ >= 0) {
            ::close(write_end_);
            write_end_ = -1;
        }
    }

    // Bounded, so that a child that never stops writing cannot hold the caller.
    void drain() {
        constexpr int kMaxParts = 32;
        std::array<char, 65536> part{};
        for (int i = 0; i < kMaxParts && !at_end_; ++i) {
            const ssize_t length = ::read(read_end_, part.data(), part.size());
            if (length > 0) {
                const auto kept =
                    std::min(static_cast<std::size_t>(length), kMaxCommandOutput - text_.size());
                text_.append(part.data(), kept);
            } else if (length == 0) {
                at_end_ = true;
            } else if (errno != EINTR) {
                return;
            }
        }
    }

  private:
    int read_end_ = -1;
    int write_end_ = -1;
    bool at_end_ = false;
    std::string text_;
};

class RunningCommand final : public PendingCommand {
  public:
    RunningCommand(const std::vector<std::string>& arguments, std::chrono::milliseconds timeout)
        : child_(start(arguments)), deadline_(Clock::now() + timeout) {
        output_.close_write_end();
        errors_.close_write_end();
    }
    ~RunningCommand() override {
        if (!ended_) {
            child_.signal_group(SIGKILL);
            child_.wait_for(std::chrono::milliseconds(100));
            child_.poll();
        }
    }
    RunningCommand(const RunningCommand&) = delete;
    RunningCommand& operator=(const RunningCommand&) = delete;

    std::optional<CommandResult> poll() override {
        const auto status = child_.poll();  // before the last look at what it wrote
        output_.drain();
        errors_.drain();
        const auto now = Clock::now();
        if (!status) {
            if (!timed_out_ && now >= deadline_) {
                timed_out_ = true;
                child_.signal_group(SIGKILL);
            }
            if (!timed_out_ || now < deadline_ + kReapTimeout) {
                return std::nullopt;
            }
        }
        ended_ = true;
        CommandResult result;
        result.timed_out = timed_out_;
        if (!status) {
            result.exit_code = kKilled;
        } else {
            result.exit_code = status->signal != 0 ? 128 + status->signal : status->exit_code;
        }
        result.output = output_.take_text();
        result.errors = errors_.take_text();
        return result;
    }

    // Sleeps until there is something to poll for.
    void wait() const {
        const int process = static_cast<int>(::syscall(SYS_pidfd_open, child_.pid(), 0));
        std::array<pollfd, 3> sources{{{process, POLLIN, 0},
                                       {output_.is_at_end() ? -1 : output_.read_end(), POLLIN, 0},
                                       {errors_.is_at_end() ? -1 : errors_.read_end(), POLLIN, 0}}};
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(
            deadline_ + (timed_out_ ? kReapTimeout : std::chrono::seconds(0)) - Clock::now());
        constexpr std::int64_t kLongest = 3'600'000;
        ::poll(sources.data(), sources.size(),
               static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, process < 0 ? 10 : kLongest)));
        if (process >= 0) {
            ::close(process);
        }
    }

  private:
    ChildProcess start(const std::vector<std::string>& arguments) const {
        return ChildProcess::start(
            {arguments, current_environment(), output_.path(), errors_.path(), SIGKILL});
    }

    OutputPipe output_;
    OutputPipe errors_;
    ChildProcess child_;
    Clock::time_point deadline_;
    bool timed_out_ = false;
    bool ended_ = false;
};

// One that has ended before it began.
class FailedCommand final : public PendingCommand {
  public:
    explicit FailedCommand(CommandResult result) : result_(std::move(result)) {}
    std::optional<CommandResult> poll() override { return result_; }

  private:
    CommandResult result_;
};

CommandResult no_such_program() {
    CommandResult result;
    result.found = false;
    return result;
}

CommandResult could_not_start(const std::exception& error) {
    CommandResult result;
    result.exit_code = kCannotStart;
    result.errors = error.what();
    return result;
}

}  // namespace

std::unique_ptr<PendingCommand> start_command(const std::vector<std::string>& arguments,
                                              std::chrono::milliseconds timeout) {
    if (find_program(arguments.at(0)).empty()) {
        return std::make_unique<FailedCommand>(no_such_program());
    }
    try {
        return std::make_unique<RunningCommand>(arguments, timeout);
    } catch (const std::exception& error) {
        return std::make_unique<FailedCommand>(could_not_start(error));
    }
}

CommandResult run_command(const std::vector<std::string>& arguments, std::chrono::milliseconds timeout) {
    if (find_program(arguments.at(0)).empty()) {
        return no_such_program();
    }
    try {
        RunningCommand command(arguments, timeout);
        while (true) {
            if (auto result = command.poll()) {
                return *std::move(result);
            }
            command.wait();
        }
    } catch (const std::exception& error) {
        return could_not_start(error);
    }
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
