#include "common/base/host.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <memory>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sched.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace orchestrate {

std::string host_name() {
    std::array<char, 256> name{};
    gethostname(name.data(), name.size() - 1);
    return name.data();
}

std::vector<std::string> host_addresses() {
    std::vector<std::string> addresses;
    ifaddrs* list = nullptr;
    if (getifaddrs(&list) == 0) {
        const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, freeifaddrs);
        for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
            if (entry->ifa_addr == nullptr || entry->ifa_addr->sa_family != AF_INET ||
                (entry->ifa_flags & IFF_UP) == 0 || (entry->ifa_flags & IFF_LOOPBACK) != 0) {
                continue;
            }
            std::array<char, INET_ADDRSTRLEN> text{};
            const auto* address = reinterpret_cast<const sockaddr_in*>(entry->ifa_addr);
            inet_ntop(AF_INET, &address->sin_addr, text.data(), text.size());
            addresses.emplace_back(text.data());
        }
    }
    addresses.emplace_back("127.0.0.1");
    return addresses;
}

int usable_cores() {
    cpu_set_t mask;
    CPU_ZERO(&mask);
    if (sched_getaffinity(0, sizeof mask, &mask) != 0) {
        return 1;
    }
    return std::max(1, CPU_COUNT(&mask));
}

std::int64_t usable_memory_mib() {
    constexpr std::int64_t kMib = 1 << 20;
    const long pages = sysconf(_SC_PHYS_PAGES);
    const long page = sysconf(_SC_PAGESIZE);
    std::int64_t bytes = pages > 0 && page > 0 ? static_cast<std::int64_t>(pages) * page : 0;
    for (const char* file : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
        std::ifstream stream(file);
        if (std::int64_t limit = 0; stream >> limit && limit > 0) {  // "max": none
            bytes = bytes > 0 ? std::min(bytes, limit) : limit;
        }
    }
    return bytes / kMib;
}

std::filesystem::path program_folder() {
    return std::filesystem::read_symlink("/proc/self/exe").parent_path();
}

bool process_is_alive(long long process_id) {
    return process_id > 0 && (kill(static_cast<pid_t>(process_id), 0) == 0 || errno == EPERM);
}

bool is_network_file_system(const std::filesystem::path& folder) {
    struct statfs status {};
    if (statfs(folder.c_str(), &status) != 0) {
        return false;
    }
    // Magic numbers of statfs(2): NFS, SMB, SMB2, CIFS, Lustre, GPFS, BeeGFS, Ceph, AFS, FUSE (sshfs and the
    // like).
    constexpr std::array<unsigned long, 10> kNetwork = {0x6969,     0x517B,     0xFE534D42, 0xFF534D42,
                                                        0x0BD00BD0, 0x47504653, 0x19830326, 0x00C36400,
                                                        0x5346414F, 0x65735546};
    const auto type = static_cast<unsigned long>(status.f_type) & 0xFFFFFFFFUL;
    return std::find(kNetwork.begin(), kNetwork.end(), type) != kNetwork.end();
}

}  // namespace orchestrate
