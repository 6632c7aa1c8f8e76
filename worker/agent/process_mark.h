// What tells a worker's processes and files on this host from those of others: a mark in the environment of its commands
// and in the names of their scratch directories. It names the worker's process, so that whoever finds the mark later
// knows whether that worker still lives.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace orchestrate {

inline constexpr const char* kProcessMarkVariable = "ORCHESTRATE_PROCESS_MARK";

// Names this process: its PID namespace, number and time of start. Empty without /proc.
std::string owner_mark();

// owner_mark() and a random part: the mark of one command.
std::string new_process_mark();

// Whether the process that a mark names has ended. False for what is no mark, and for marks of another PID namespace,
// whose processes cannot be judged from here.
bool owner_has_ended(std::string_view mark);

// Kills the processes of this user that have the mark in their environment, until none is found.
void kill_marked(std::string_view mark);

// Kills the processes of this user whose mark names a worker that has ended, and removes scratch directories of such
// workers in `places`: those whose names are kScratchPrefix and a mark, and which belong to this user.
void remove_leftovers(const std::vector<std::filesystem::path>& places);

inline constexpr const char* kScratchPrefix = "orchestrate-command-";

}  // namespace orchestrate
