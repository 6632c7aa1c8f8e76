// Files that a user names: studies, data, scripts, vocabularies, weights. Reading anything but a regular file may wait
// for ever (a named pipe, a terminal) or never end (/dev/zero), so it is refused before it is opened.
#pragma once

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

namespace orchestrate {

// Why `path` cannot be read as a file: "does not exist", "is a directory", "is a named pipe", "cannot be read: Permission
// denied". Nothing for a regular file that may be read, or a link to one.
std::optional<std::string> why_no_file(const std::filesystem::path& path);

// The same as a sentence: "there is no file 'PATH'", "'PATH' is a directory".
std::optional<std::string> no_file_sentence(const std::filesystem::path& path);

// Opens it. Throws UserError "'PATH' is a named pipe; expected `expected`".
std::ifstream open_named_file(const std::filesystem::path& path,
                              const std::string& expected = "a regular file");

// The same without opening it.
void check_named_file(const std::filesystem::path& path, const std::string& expected = "a regular file");

}  // namespace orchestrate
