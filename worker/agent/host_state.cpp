#include "worker/agent/host_state.h"

#include <fstream>
#include <set>

#include <sys/statvfs.h>

namespace orchestrate {
namespace {

constexpr std::uint64_t kNoRoomBytes = 1U << 20;  // what is left of a file system that is full

}  // namespace

std::int64_t processes_killed_for_memory() {
    std::ifstream file("/proc/vmstat");
    std::string name;
    std::int64_t value = 0;
    while (file >> name >> value) {
        if (name == "oom_kill") {
            return value;
        }
    }
    return 0;
}

std::string full_file_systems(const std::vector<std::filesystem::path>& paths) {
    std::string text;
    std::set<unsigned long> seen;
    for (const auto& path : paths) {
        struct statvfs status {};
        if (path.empty() || statvfs(path.c_str(), &status) != 0 || !seen.insert(status.f_fsid).second) {
            continue;
        }
        const std::uint64_t left = static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
        const bool is_full = status.f_blocks > 0 && left < kNoRoomBytes;
        const bool has_no_inodes = status.f_files > 0 && status.f_favail == 0;
        if (is_full || has_no_inodes) {
            text +=
                (text.empty() ? "" : ", ") + path.string() + (is_full ? " is full" : " has no inodes left");
        }
    }
    return text;
}

}  // namespace orchestrate
