// Which files in the checkpoint directory of a command count as finished: README.md, "Your own script".
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace orchestrate {

// Whether a file or directory of that name is still being written: it begins with a dot, or ends with ".part" or ".tmp".
bool is_unfinished_name(const std::string& name);

// Calls visit(file) with each of finished_files() in no order, until it returns false.
void visit_finished_files(const std::filesystem::path& directory,
                          const std::function<bool(const std::filesystem::path&)>& visit);

// Regular files below the directory that are finished, and not in an unfinished directory; relative, ascending. Symbolic
// links are not followed. What cannot be read is left out.
std::vector<std::filesystem::path> finished_files(const std::filesystem::path& directory);

}  // namespace orchestrate
