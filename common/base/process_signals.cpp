#include "common/base/process_signals.h"

#include <csignal>

namespace orchestrate {

std::vector<int> signals_not_ignored(std::initializer_list<int> signals) {
    std::vector<int> found;
    for (const int signal : signals) {
        struct sigaction current {};
        if (sigaction(signal, nullptr, &current) != 0 || current.sa_handler != SIG_IGN) {
            found.push_back(signal);
        }
    }
    return found;
}

void ignore_harmless_signals(std::initializer_list<int> others) {
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);
    for (const int signal : others) {
        std::signal(signal, SIG_IGN);
    }
}

}  // namespace orchestrate
