#include "coordinator/report/terminal.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <string_view>
#include <system_error>

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/base/process_signals.h"

namespace orchestrate {
namespace {

// One that is blocked arrives also if it is ignored.
sigset_t watched_signals() {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : signals_not_ignored({SIGINT, SIGTERM, SIGHUP})) {
        sigaddset(&signals, signal);
    }
    return signals;
}

std::size_t number_in_variable(const char* name, std::size_t otherwise) {
    constexpr std::size_t kMaximum = 10'000;
    const char* const text = std::getenv(name);
    std::size_t number = 0;
    if (text == nullptr) {
        return otherwise;
    }
    const char* const end = text + std::string_view(text).size();
    const auto parsed = std::from_chars(text, end, number);
    return parsed.ec == std::errc() && parsed.ptr == end && number > 0 && number <= kMaximum ? number
                                                                                             : otherwise;
}

}  // namespace

TerminalSize terminal_size(int descriptor) {
    TerminalSize result;
    winsize size{};
    const bool known = ioctl(descriptor, TIOCGWINSZ, &size) == 0;
    result.columns = known && size.ws_col > 0 ? size.ws_col : number_in_variable("COLUMNS", result.columns);
    result.lines = known && size.ws_row > 0 ? size.ws_row : number_in_variable("LINES", result.lines);
    return result;
}

std::size_t output_width() {
    return isatty(STDOUT_FILENO) == 1 ? terminal_size(STDOUT_FILENO).columns : 0;
}

bool can_repaint(int descriptor) {
    const char* const kind = std::getenv("TERM");
    return isatty(descriptor) == 1 && kind != nullptr && *kind != '\0' && std::string_view(kind) != "dumb";
}

SignalWatch::SignalWatch() {
    const sigset_t signals = watched_signals();
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    signals_ = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals_ < 0) {
        throw std::system_error(errno, std::generic_category(), "signalfd");
    }
}

SignalWatch::~SignalWatch() {
    signalfd_siginfo ignored{};
    while (read(signals_, &ignored, sizeof ignored) > 0) {
        // One that was told must not end the process now.
    }
    close(signals_);
    const sigset_t signals = watched_signals();
    sigprocmask(SIG_UNBLOCK, &signals, nullptr);
}

bool SignalWatch::wait(std::chrono::milliseconds duration) {
    return wait_on(false, duration);
}

bool SignalWatch::wait_for_input(std::chrono::milliseconds duration) {
    return wait_on(true, duration);
}

bool SignalWatch::wait_on(bool input, std::chrono::milliseconds duration) {
    if (signalled_) {
        return true;
    }
    std::array<pollfd, 2> sources{{{signals_, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}}};
    if (poll(sources.data(), input ? 2 : 1, static_cast<int>(duration.count())) > 0) {
        signalled_ = (sources[0].revents & POLLIN) != 0;
    }
    return signalled_;
}

}  // namespace orchestrate
