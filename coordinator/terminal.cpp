#include "coordinator/terminal.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <system_error>

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace orchestrate {
namespace {

sigset_t watched_signals() {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
        sigaddset(&signals, signal);
    }
    return signals;
}

}  // namespace

std::size_t output_width() {
    if (isatty(STDOUT_FILENO) != 1) {
        return 0;
    }
    winsize size{};
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
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
