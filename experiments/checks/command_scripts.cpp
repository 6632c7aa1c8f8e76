#include "experiments/checks/command_scripts.h"

#include <algorithm>
#include <fstream>
#include <set>

namespace orchestrate {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxRead = 1U << 20;  // bytes of a shell script
constexpr std::size_t kMaxWords = 100'000;
constexpr std::size_t kMaxScripts = 1'000;

bool is_regular(const fs::path& path) {
    std::error_code unknown;
    return fs::is_regular_file(path, unknown);
}

std::string beginning_of(const fs::path& file, std::size_t most) {
    if (!is_regular(file)) {
        return {};
    }
    std::string text(most, '\0');
    std::ifstream input(file, std::ios::binary);
    input.read(text.data(), static_cast<std::streamsize>(most));
    text.resize(static_cast<std::size_t>(input.gcount()));
    return text;
}

std::string first_line_of(const fs::path& file) {
    const std::string text = beginning_of(file, 256);
    return text.substr(0, text.find('\n'));
}

bool ends_with_one_of(const fs::path& file, const std::vector<std::string>& extensions) {
    return std::find(extensions.begin(), extensions.end(), file.extension().string()) != extensions.end();
}

bool is_shell(const fs::path& program) {
    static const std::set<std::string> kShells = {"sh", "bash", "dash", "zsh", "ksh"};
    return kShells.contains(program.filename().string());
}

bool is_shell_script(const fs::path& file) {
    if (!is_regular(file)) {
        return false;
    }
    const std::string line = first_line_of(file);
    if (!line.starts_with("#!")) {
        return ends_with_one_of(file, {".sh", ".bash", ".zsh", ".ksh"});
    }
    const std::size_t begin = line.find_last_of("/ ");  // "#!/bin/sh", "#!/usr/bin/env bash"
    return is_shell(line.substr(begin + 1)) || is_shell(line.substr(2, line.find(' ', 3) - 2));
}

// Whether programs are installed into the folder, by its place or by the interpreter that lies in it as well.
bool holds_installed_programs(const fs::path& folder) {
    const std::string name = folder.filename().string();
    const std::string text = folder.string();
    if (name == "bin" || name == "sbin") {
        for (const char* place : {"/bin", "/sbin", "/usr/", "/opt/", "/nix/", "/snap/"}) {
            if (text.starts_with(place)) {
                return true;
            }
        }
        if (folder.parent_path().filename() == ".local") {
            return true;
        }
    }
    return is_regular(folder / "python3") || is_regular(folder / "python");
}

bool is_inside(const fs::path& relative) {
    return !relative.empty() && *relative.begin() != "..";
}

// What a shell would take for words, roughly: variables are left out, and quotes do not hold words together.
std::vector<std::string> shell_words(const std::string& text) {
    static const std::string kBetween = " \t\r\n;|&()<>\"'`${}";
    std::vector<std::string> words;
    for (std::size_t at = 0; at < text.size() && words.size() < kMaxWords;) {
        if (kBetween.find(text[at]) != std::string::npos) {
            ++at;
        } else if (text[at] == '#' && (at == 0 || text[at - 1] == '\n' || text[at - 1] == ' ')) {
            at = std::min(text.find('\n', at), text.size());
        } else {
            const std::size_t end = std::min(text.find_first_of(kBetween, at), text.size());
            words.push_back(text.substr(at, end - at));
            at = end;
        }
    }
    return words;
}

class WordSearch {
  public:
    explicit WordSearch(const fs::path& folder) : folder_(folder) {}

    std::vector<CommandWord> find(const std::vector<std::string>& command_line) {
        for (std::size_t i = 0; i < command_line.size(); ++i) {
            const std::string word = path_from_folder(command_line[i], "");
            words_.push_back({word, false});
            if (i > 0 && is_command_option(command_line[i - 1]) &&
                std::any_of(command_line.begin(), command_line.begin() + static_cast<std::ptrdiff_t>(i),
                            is_shell)) {
                add_shell_text(command_line[i], "");
            } else {
                add_shell_script(word);
            }
        }
        return std::move(words_);
    }

  private:
    // "-c", "-ec", "-lc"
    static bool is_command_option(const std::string& word) {
        return word.size() > 1 && word[0] == '-' && word[1] != '-' && word.back() == 'c';
    }

    void add_shell_script(const std::string& name) {
        if (seen_.size() >= kMaxScripts || !is_shell_script(folder_ / name) || !seen_.insert(name).second) {
            return;
        }
        add_shell_text(beginning_of(folder_ / name, kMaxRead), fs::path(name).parent_path());
    }

    void add_shell_text(const std::string& text, const fs::path& beside) {
        for (const auto& found : shell_words(text)) {
            const std::string word = path_from_folder(found, beside);
            words_.push_back({word, true});
            add_shell_script(word);
        }
    }

    // A word that names a file: from the folder where the command runs, or beside the script that says it.
    std::string path_from_folder(const std::string& word, const fs::path& beside) const {
        const fs::path path(word);
        if (is_regular(folder_ / path)) {
            const auto normal = (folder_ / path).lexically_normal();
            const auto relative = normal.lexically_relative(folder_.lexically_normal());
            return (is_inside(relative)  ? relative
                    : path.is_absolute() ? normal
                                         : path.lexically_normal())
                .string();
        }
        const fs::path near = (beside / path.relative_path()).lexically_normal();  // "$(dirname "$0")/t.py"
        return is_regular(folder_ / near) ? near.string() : word;
    }

    const fs::path& folder_;
    std::vector<CommandWord> words_;
    std::set<std::string> seen_;
};

}  // namespace

bool is_installed_program(const fs::path& program) {
    return !is_regular(program) || holds_installed_programs(program.lexically_normal().parent_path());
}

bool is_binary(const fs::path& file) {
    const std::string begin = beginning_of(file, 4096);
    return !begin.starts_with("#!") && begin.find('\0') != std::string::npos;
}

bool is_script(const fs::path& file) {
    static const std::vector<std::string> kExtensions = {".py", ".sh",  ".bash", ".zsh", ".ksh", ".R",
                                                         ".r",  ".jl",  ".pl",   ".rb",  ".js",  ".lua",
                                                         ".m",  ".php", ".tcl",  ".awk", ".mjs", ".ts"};
    return is_regular(file) && (ends_with_one_of(file, kExtensions) || first_line_of(file).starts_with("#!"));
}

std::vector<CommandWord> command_words(const fs::path& folder, const std::vector<std::string>& command_line) {
    return WordSearch(folder).find(command_line);
}

}  // namespace orchestrate
