#include "worker/agent/process_scan.h"

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace orchestrate {
namespace {

constexpr std::size_t kMaxProcesses = (1U << 22) + 1;  // PID_MAX_LIMIT of Linux
constexpr std::size_t kMapBytes = kMaxProcesses * sizeof(pid_t);
constexpr int kMaxDepth = 100'000;  // of the tree; ends a walk through parents that changed meanwhile

struct DirectoryEntry {  // linux_dirent64
    std::uint64_t inode;
    std::int64_t offset;
    unsigned short bytes;
    unsigned char type;
    char name[1];
};

// 0 if the text is no decimal number.
unsigned long number_of(const char* text) {
    unsigned long number = 0;
    for (; *text >= '0' && *text <= '9'; ++text) {
        number = 10 * number + static_cast<unsigned long>(*text - '0');
    }
    return *text == '\0' ? number : 0;
}

// "/proc/NUMBER/stat"
void write_stat_path(char* to, pid_t process) {
    char digits[16];
    int count = 0;
    for (auto rest = static_cast<unsigned>(process); rest > 0 || count == 0; rest /= 10) {
        digits[count++] = static_cast<char>('0' + rest % 10);
    }
    std::memcpy(to, "/proc/", 6);
    to += 6;
    while (count > 0) {
        *to++ = digits[--count];
    }
    std::memcpy(to, "/stat", 6);
}

// What follows the name in a stat file: " S 1 ..."; null: the process is gone. `buffer` holds it.
const char* read_stat(const char* path, char* buffer, std::size_t size) {
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return nullptr;
    }
    const ssize_t received = read(file, buffer, size - 1);
    close(file);
    if (received <= 0) {
        return nullptr;
    }
    buffer[received] = '\0';
    const char* end = std::strrchr(buffer, ')');
    return end == nullptr ? nullptr : end + 1;
}

// The number in field `index` of text whose fields are separated by one space each, the first after a space; 0: none.
unsigned long field(const char* text, int index) {
    for (int i = 0; i <= index; ++i) {
        text = std::strchr(text, ' ');
        if (text == nullptr) {
            return 0;
        }
        ++text;
    }
    unsigned long number = 0;
    for (; *text >= '0' && *text <= '9'; ++text) {
        number = 10 * number + static_cast<unsigned long>(*text - '0');
    }
    return number;
}

template <class Visit>
void for_each_process(Visit visit) {
    const int directory = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) {
        return;
    }
    alignas(DirectoryEntry) char buffer[16384];
    while (true) {
        const long received = syscall(SYS_getdents64, directory, buffer, sizeof(buffer));
        if (received <= 0) {
            break;
        }
        for (long at = 0; at < received;) {
            const auto* entry = reinterpret_cast<const DirectoryEntry*>(buffer + at);
            const unsigned long number = number_of(entry->name);
            if (number > 0 && number < kMaxProcesses) {
                visit(static_cast<pid_t>(number));
            }
            at += entry->bytes;
        }
    }
    close(directory);
}

}  // namespace

pid_t parent_of(pid_t process) {
    char path[40];
    char buffer[1024];
    write_stat_path(path, process);
    const char* fields = read_stat(path, buffer, sizeof(buffer));
    return fields == nullptr ? 0 : static_cast<pid_t>(field(fields, 1));
}

void rename_process(const char* name) {
    prctl(PR_SET_NAME, name);
    char buffer[2048];
    const char* fields = read_stat("/proc/self/stat", buffer, sizeof(buffer));
    if (fields == nullptr) {
        return;
    }
    constexpr int kArgumentsBegin = 48 - 3;  // fields of proc(5), of which the third is the first here
    auto* const begin = reinterpret_cast<char*>(field(fields, kArgumentsBegin));
    auto* const end = reinterpret_cast<char*>(field(fields, kArgumentsBegin + 1));
    if (begin == nullptr || end <= begin) {
        return;
    }
    const auto size = static_cast<std::size_t>(end - begin);
    std::memset(begin, 0, size);
    std::strncpy(begin, name, size - 1);
}

ProcessScan::ProcessScan() : self_(getpid()) {
    void* const memory =
        mmap(nullptr, kMapBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    parents_ = memory == MAP_FAILED ? nullptr : static_cast<pid_t*>(memory);
}

void ProcessScan::add(pid_t process) {
    const pid_t parent = parent_of(process);
    if (parents_ == nullptr) {
        if (parent == self_) {
            kill(process, SIGKILL);
        }
    } else if (parent > 0 && static_cast<std::size_t>(parent) < kMaxProcesses) {
        parents_[process] = parent;
    }
}

bool ProcessScan::is_descendant(pid_t process) const {
    for (int depth = 0; depth < kMaxDepth && process > 0; ++depth) {
        process = parents_[process];
        if (process == self_) {
            return true;
        }
    }
    return false;
}

void ProcessScan::kill_descendants() {
    if (parents_ != nullptr) {
        madvise(parents_, kMapBytes, MADV_DONTNEED);  // all zero again
    }
    for_each_process([this](pid_t process) { add(process); });
    if (parents_ == nullptr) {
        return;
    }
    for_each_process([this](pid_t process) {
        if (process != self_ && is_descendant(process)) {
            kill(process, SIGKILL);
        }
    });
}

}  // namespace orchestrate
