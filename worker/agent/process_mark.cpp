#include "worker/agent/process_mark.h"

#include <charconv>
#include <csignal>
#include <cstdint>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <random>
#include <sstream>
#include <system_error>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace orchestrate {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxRounds = 100;

struct Owner {
    std::uint64_t process_namespace = 0;
    std::int64_t process = 0;
    std::uint64_t started = 0;  // clock ticks after the start of the machine
};

std::uint64_t own_namespace() {
    struct stat status {};
    return stat("/proc/self/ns/pid", &status) == 0 ? status.st_ino : 0;
}

// 0 if there is no such process.
std::uint64_t start_of(std::int64_t process) {
    std::ifstream file("/proc/" + std::to_string(process) + "/stat");
    const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    const std::size_t name_end = text.rfind(')');
    if (name_end == std::string::npos) {
        return 0;
    }
    std::istringstream words(text.substr(name_end + 1));
    const std::vector<std::string> fields{std::istream_iterator<std::string>(words), {}};
    constexpr std::size_t kState = 0;
    constexpr std::size_t kStart = 19;
    if (fields.size() <= kStart || fields[kState] == "Z" || fields[kState] == "X") {
        return 0;
    }
    return std::stoull(fields[kStart]);
}

template <class Number>
bool read_number(std::string_view& text, Number& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc()) {
        return false;
    }
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (!text.empty() && text.front() == '-') {
        text.remove_prefix(1);
    }
    return true;
}

std::optional<Owner> owner_in(std::string_view mark) {
    Owner owner;
    if (read_number(mark, owner.process_namespace) && read_number(mark, owner.process) &&
        read_number(mark, owner.started) && owner.process > 0 && owner.started > 0) {
        return owner;
    }
    return std::nullopt;
}

// The value of the mark in a process's environment; empty: none, or it cannot be read.
std::string mark_of(const fs::path& process_folder) {
    std::ifstream file(process_folder / "environ", std::ios::binary);
    const std::string prefix = std::string(kProcessMarkVariable) + "=";
    for (std::string variable; std::getline(file, variable, '\0');) {
        if (variable.starts_with(prefix)) {
            return variable.substr(prefix.size());
        }
    }
    return {};
}

// Kills the processes whose mark is chosen; false if there was none.
bool kill_once(const std::function<bool(const std::string&)>& chosen) {
    bool found = false;
    std::error_code error;
    for (fs::directory_iterator entry("/proc", error), end; !error && entry != end; entry.increment(error)) {
        const std::string name = entry->path().filename().string();
        pid_t process = 0;
        const auto parsed = std::from_chars(name.data(), name.data() + name.size(), process);
        if (parsed.ec != std::errc() || parsed.ptr != name.data() + name.size() || process == getpid()) {
            continue;
        }
        if (const std::string mark = mark_of(entry->path()); !mark.empty() && chosen(mark)) {
            found = ::kill(process, SIGKILL) == 0 || found;
        }
    }
    return found;
}

void kill_all(const std::function<bool(const std::string&)>& chosen) {
    for (int round = 0; round < kMaxRounds && kill_once(chosen); ++round) {
        usleep(1000);  // a process that dies is found until its parent has taken note
    }
}

}  // namespace

std::string owner_mark() {
    const std::uint64_t started = start_of(getpid());
    const std::uint64_t process_namespace = own_namespace();
    return started == 0 || process_namespace == 0
               ? std::string()
               : fmt::format("{}-{}-{}", process_namespace, getpid(), started);
}

std::string new_process_mark() {
    std::random_device random;
    return fmt::format("{}-{:08x}{:08x}", owner_mark(), random(), random());
}

bool owner_has_ended(std::string_view mark) {
    const auto owner = owner_in(mark);
    return owner && owner->process_namespace == own_namespace() && start_of(owner->process) != owner->started;
}

void kill_marked(std::string_view mark) {
    if (!mark.empty()) {
        kill_all([mark](const std::string& found) { return found == mark; });
    }
}

void remove_leftovers(const std::vector<fs::path>& places) {
    kill_all([](const std::string& found) { return owner_has_ended(found); });
    for (const auto& place : places) {
        std::error_code error;
        for (fs::directory_iterator entry(place, error), end; !error && entry != end;
             entry.increment(error)) {
            const std::string name = entry->path().filename().string();
            struct stat status {};
            if (!name.starts_with(kScratchPrefix) ||
                !owner_has_ended(std::string_view(name).substr(std::string_view(kScratchPrefix).size())) ||
                lstat(entry->path().c_str(), &status) != 0 || !S_ISDIR(status.st_mode) ||
                status.st_uid != geteuid()) {
                continue;
            }
            std::error_code ignored;
            fs::remove_all(entry->path(), ignored);
        }
    }
}

}  // namespace orchestrate
