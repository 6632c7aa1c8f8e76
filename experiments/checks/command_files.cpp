#include "experiments/checks/command_files.h"

#include <algorithm>
#include <functional>
#include <set>

#include <fmt/format.h>
#include <fnmatch.h>

#include "common/base/error.h"

namespace orchestrate {
namespace {

namespace fs = std::filesystem;

bool is_pattern(const std::string& entry) {
    return entry.find_first_of("*?[") != std::string::npos;
}

// What editors and Python leave beside a file: "t.py~", "#t.py#", "t.py.swp", "t.pyc".
bool is_left_over(const std::string& name) {
    const std::string end = fs::path(name).extension().string();
    return name.ends_with('~') || (name.starts_with('#') && name.ends_with('#')) || name == "__pycache__" ||
           end == ".pyc" || end == ".pyo" || end == ".swp" || end == ".swo";
}

bool is_left_out(const std::string& name) {
    return name.empty() || name.front() == '.' || is_left_over(name);
}

std::vector<std::string> parts_of(const std::string& path) {
    std::vector<std::string> parts;
    for (const auto& part : fs::path(path).lexically_normal()) {
        if (!part.empty() && part != ".") {
            parts.push_back(part.string());
        }
    }
    return parts;
}

class FileSearch {
  public:
    FileSearch(const fs::path& folder, const std::string& entry) : folder_(folder), entry_(entry) {}

    std::vector<std::string> find() {
        const auto parts = parts_of(entry_);
        match("", parts, 0);
        return {found_.begin(), found_.end()};
    }

  private:
    // Names in a directory, in order.
    std::vector<std::string> names_in(const std::string& below) const {
        std::vector<std::string> names;
        std::error_code error;
        for (fs::directory_iterator at(folder_ / below, error), end; !error && at != end;
             at.increment(error)) {
            names.push_back(at->path().filename().string());
        }
        if (error) {
            throw UserError("cannot read the directory '" + (folder_ / below).string() +
                            "' of command.files '" + entry_ + "': " + error.message());
        }
        std::sort(names.begin(), names.end());
        return names;
    }

    bool is_directory(const std::string& path) const {
        std::error_code unknown;
        return fs::is_directory(folder_ / path, unknown);
    }

    static std::string joined(const std::string& below, const std::string& name) {
        return below.empty() ? name : below + "/" + name;
    }

    void add(const std::string& path) {
        std::error_code unknown;
        if (fs::is_regular_file(folder_ / path, unknown)) {
            found_.insert(path);
        }
        if (found_.size() > kMaxCommandFiles) {
            throw UserError(
                fmt::format("command.files '{}' stands for more than {} files; expected a narrower "
                            "pattern, e.g. \"src/*.py\"",
                            entry_, kMaxCommandFiles));
        }
    }

    // A symbolic link to a directory may lead back up: it is not followed.
    void add_all_below(const std::string& directory) {
        for (const auto& name : names_in(directory)) {
            const std::string path = joined(directory, name);
            if (is_left_out(name)) {
                continue;
            }
            if (is_directory(path) && !fs::is_symlink(folder_ / path)) {
                add_all_below(path);
            } else {
                add(path);
            }
        }
    }

    void match(const std::string& below, const std::vector<std::string>& parts, std::size_t at) {
        if (at == parts.size()) {
            if (is_directory(below)) {
                add_all_below(below);
            } else {
                add(below);
            }
        } else if (parts[at] == "**") {
            match_any_depth(below, parts, at);
        } else if (!is_pattern(parts[at])) {
            match(joined(below, parts[at]), parts, at + 1);
        } else if (is_directory(below.empty() ? "." : below)) {
            for (const auto& name : names_in(below)) {
                if (fnmatch(parts[at].c_str(), name.c_str(), FNM_PERIOD) == 0 &&
                    (!is_left_over(name) || is_left_over(parts[at]))) {
                    const std::string path = joined(below, name);
                    if (at + 1 < parts.size() || !is_directory(path)) {
                        match(path, parts, at + 1);
                    }
                }
            }
        }
    }

    void match_any_depth(const std::string& below, const std::vector<std::string>& parts, std::size_t at) {
        if (!is_directory(below.empty() ? "." : below)) {
            return;
        }
        if (at + 1 == parts.size()) {
            add_all_below(below);
            return;
        }
        match(below, parts, at + 1);
        for (const auto& name : names_in(below)) {
            const std::string path = joined(below, name);
            if (!is_left_out(name) && is_directory(path) && !fs::is_symlink(folder_ / path)) {
                match_any_depth(path, parts, at);
            }
        }
    }

    const fs::path& folder_;
    const std::string& entry_;
    std::set<std::string> found_;
};

}  // namespace

bool stands_for_several(const std::filesystem::path& folder, const std::string& entry) {
    std::error_code unknown;
    return (is_pattern(entry) && !fs::exists(folder / entry, unknown)) ||
           fs::is_directory(folder / entry, unknown);
}

std::vector<std::string> files_of_entry(const std::filesystem::path& folder, const std::string& entry) {
    return stands_for_several(folder, entry) ? FileSearch(folder, entry).find() : std::vector{entry};
}

}  // namespace orchestrate
