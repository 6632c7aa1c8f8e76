// Signals of a program that runs for long.
#pragma once

#include <initializer_list>
#include <vector>

namespace orchestrate {

// Those of `signals` that the process was not started to ignore: nohup ignores SIGHUP, a shell SIGINT and SIGQUIT of what it
// starts in the background, and that shall stay so. To be asked before anything else is set for them.
std::vector<int> signals_not_ignored(std::initializer_list<int> signals);

// Ignores what would kill the process although it can go on: a pipe that nobody reads (writing to it fails with EPIPE), a
// file at its size limit (EFBIG), and `others`. Programs that are started get the default again where their start resets it.
void ignore_harmless_signals(std::initializer_list<int> others = {});

}  // namespace orchestrate
