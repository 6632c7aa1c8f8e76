#include "worker/agent/shared_memory_record.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "worker/agent/process_mark.h"

namespace orchestrate {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kRecordPrefix = "orchestrate-memory-";
constexpr std::size_t kMaxRecordBytes = 1 << 20;

using FileId = std::pair<std::string, std::uint64_t>;  // device as in /proc/PID/maps, "00:1a", and inode

FileId id_of(const struct stat& status) {
    return {fmt::format("{:02x}:{:02x}", major(status.st_dev), minor(status.st_dev)), status.st_ino};
}

// A regular file of this user; a symbolic link is none.
std::optional<FileId> own_file(const fs::path& path) {
    struct stat status {};
    if (lstat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_uid != geteuid()) {
        return std::nullopt;
    }
    return id_of(status);
}

struct Mapping {
    FileId id;
    std::string path;  // may end in " (deleted)"
};

// The files that a process has mapped; empty if it has ended or is another user's.
std::vector<Mapping> mappings_of(const fs::path& process_folder) {
    std::vector<Mapping> found;
    std::ifstream file(process_folder / "maps");
    for (std::string line; std::getline(file, line);) {
        std::istringstream fields(line);
        std::string skipped;
        Mapping mapping;
        if (fields >> skipped >> skipped >> skipped >> mapping.id.first >> mapping.id.second >> std::ws &&
            mapping.id.second != 0) {
            std::getline(fields, mapping.path);
            found.push_back(std::move(mapping));
        }
    }
    return found;
}

std::set<FileId> files_mapped_by_any_process() {
    std::set<FileId> ids;
    std::error_code error;
    for (fs::directory_iterator entry("/proc", error), end; !error && entry != end; entry.increment(error)) {
        const std::string name = entry->path().filename().string();
        if (std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isdigit(c) != 0; })) {
            for (Mapping& mapping : mappings_of(entry->path())) {
                ids.insert(std::move(mapping.id));
            }
        }
    }
    return ids;
}

void write_record(const fs::path& path, std::string_view content) {
    const int file =
        open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (file < 0) {
        return;
    }
    // A record that is cut off names fewer files.
    [[maybe_unused]] const ssize_t written = write(file, content.data(), content.size());
    close(file);
}

// Inodes by name: lines "INODE NAME".
std::map<std::string, std::uint64_t> read_record(const fs::path& path) {
    std::map<std::string, std::uint64_t> files;
    std::error_code error;
    if (!own_file(path) || fs::file_size(path, error) > kMaxRecordBytes || error) {
        return files;
    }
    std::ifstream file(path, std::ios::binary);
    for (std::string line; std::getline(file, line) && !file.eof();) {
        std::uint64_t inode = 0;
        const char* const end = line.data() + line.size();
        const auto parsed = std::from_chars(line.data(), end, inode);
        if (parsed.ec != std::errc() || parsed.ptr == end || *parsed.ptr != ' ') {
            continue;
        }
        const std::string name(parsed.ptr + 1, end);
        if (!name.empty() && name.find('/') == std::string::npos) {
            files[name] = inode;
        }
    }
    return files;
}

}  // namespace

SharedMemoryRecord::SharedMemoryRecord(const fs::path& folder) {
    const std::string mark = owner_mark();
    if (mark.empty()) {
        return;
    }
    std::map<std::string, std::uint64_t> files;
    for (const Mapping& mapping : mappings_of("/proc/self")) {
        const fs::path path = mapping.path;
        if (path.parent_path() == folder && own_file(path) == mapping.id) {
            files[path.filename().string()] = mapping.id.second;
        }
    }
    if (files.empty()) {
        return;
    }
    std::string content;
    for (const auto& [name, inode] : files) {
        content += fmt::format("{} {}\n", inode, name);
    }
    file_ = folder / (std::string(kRecordPrefix) + mark);
    write_record(file_, content);
}

SharedMemoryRecord::~SharedMemoryRecord() {
    if (!file_.empty()) {
        unlink(file_.c_str());
    }
}

void remove_recorded_files(const fs::path& folder) {
    std::vector<fs::path> records;
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
        const std::string name = entry->path().filename().string();
        if (name.starts_with(kRecordPrefix) &&
            owner_has_ended(std::string_view(name).substr(kRecordPrefix.size())) && own_file(entry->path())) {
            records.push_back(entry->path());
        }
    }
    if (records.empty()) {
        return;
    }
    const std::set<FileId> mapped = files_mapped_by_any_process();
    for (const fs::path& record : records) {
        bool in_use = false;
        for (const auto& [name, inode] : read_record(record)) {
            const fs::path path = folder / name;
            const auto id = own_file(path);
            if (!id || id->second != inode) {
                continue;
            }
            if (mapped.contains(*id)) {
                in_use = true;
            } else {
                unlink(path.c_str());
            }
        }
        if (!in_use) {
            unlink(record.c_str());
        }
    }
}

}  // namespace orchestrate
