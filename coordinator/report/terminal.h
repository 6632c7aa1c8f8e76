// The terminal that a command runs in: what it is, how large, and Ctrl-C.
#pragma once

#include <chrono>
#include <cstddef>

namespace orchestrate {

struct TerminalSize {
    std::size_t columns = 80;
    std::size_t lines = 24;
};

// What the terminal behind a file descriptor says, else the variables COLUMNS and LINES, else 80 x 24. At least 1 x 1.
TerminalSize terminal_size(int descriptor);

// Columns of the terminal that standard output is; 0 if it is none.
std::size_t output_width();

// Whether a file descriptor is a terminal where the cursor can be moved: not if TERM is unset, empty or "dumb".
bool can_repaint(int descriptor);

// While alive, SIGINT, SIGTERM and SIGHUP do not end the process but are told by wait(); those that were ignored before
// still are. For one thread.
class SignalWatch {
  public:
    SignalWatch();
    ~SignalWatch();
    SignalWatch(const SignalWatch&) = delete;
    SignalWatch& operator=(const SignalWatch&) = delete;

    // Sleeps so long, or until a signal comes or has come: then true, from now on.
    bool wait(std::chrono::milliseconds duration);
    // The same, and ends also when there is something to read from standard input.
    bool wait_for_input(std::chrono::milliseconds duration);

  private:
    bool wait_on(bool input, std::chrono::milliseconds duration);

    int signals_ = -1;
    bool signalled_ = false;
};

}  // namespace orchestrate
