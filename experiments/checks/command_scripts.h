// Which words of a command line are scripts: files of a user's own, whose content the results depend on, beside
// interpreters and other programs that are installed.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace orchestrate {

// Whether a program lies where programs are installed (/usr/bin, the `bin` of a virtual environment), or is not there to
// be looked at.
bool is_installed_program(const std::filesystem::path& program);

// Whether a file is no text: an interpreter (/usr/bin/python3, or a link to it), a program that was compiled.
bool is_binary(const std::filesystem::path& file);

// Whether a file looks like a program in text: by its name ("t.py", "t.sh", ...) or its first line ("#!...").
bool is_script(const std::filesystem::path& file);

struct CommandWord {
    std::string text;
    bool is_of_shell = false;  // it stands not in command.run itself but in what a shell there is given
};

// The words of a command line, then those of `sh -c "..."` and of shell scripts below `folder` that they name. Paths in
// `folder` are relative to it and normal.
std::vector<CommandWord> command_words(const std::filesystem::path& folder,
                                       const std::vector<std::string>& command_line);

}  // namespace orchestrate
