// The files that a command's results depend on: those that [command] files names, and those that its Python scripts
// import.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace orchestrate {

inline constexpr std::size_t kMaxCommandFiles = 10'000;

// The files below `folder` that an entry of command.files stands for, as relative paths in order: a file; a directory with
// all below it; a pattern (`*` and `?` within a name, `**` over any number of directories). Hidden files and directories
// and what editors and Python leave behind (`t.py~`, `t.pyc`, __pycache__) only where the entry itself names them. Empty if there is none. Throws UserError for more than
// kMaxCommandFiles, and for directories that cannot be read.
std::vector<std::string> files_of_entry(const std::filesystem::path& folder, const std::string& entry);

// Whether the entry is a pattern or names a directory.
bool stands_for_several(const std::filesystem::path& folder, const std::string& entry);

// The Python files below `folder`, as relative paths in order, that a command line runs or imports, also through others:
// scripts named by a word that ends in ".py", and `-m module`. Imports are looked for beside the script and in `folder`;
// those that are not there are of Python or installed, and left out. `import`, `from`, import_module("name") and
// __import__("name") are understood, and directories that sys.path or a word PYTHONPATH=... names as a string.
std::vector<std::string> imported_files(const std::filesystem::path& folder,
                                        const std::vector<std::string>& command_line);

}  // namespace orchestrate
