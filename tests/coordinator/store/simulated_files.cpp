#include "tests/coordinator/store/simulated_files.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <stdexcept>

namespace orchestrate::test {

struct SimulatedFiles::Node {
    // A write, or with `is_truncation` the cut to `offset` bytes.
    struct Change {
        std::size_t offset = 0;
        std::vector<char> bytes;
        bool is_truncation = false;
    };
    std::vector<char> content;  // as SQLite sees it
    std::vector<char> synced;
    std::vector<Change> unsynced;
    bool syncs_folder = false;  // SQLite's own file layer syncs the folder of journals with their first sync
    std::vector<std::unique_ptr<char[]>> shared_memory;

    static void apply(std::vector<char>& target, const Change& change, std::size_t size) {
        if (change.is_truncation) {
            target.resize(std::min(target.size(), change.offset));
            return;
        }
        if (target.size() < change.offset + size) {
            target.resize(change.offset + size);
        }
        std::copy_n(change.bytes.begin(), size, target.begin() + static_cast<std::ptrdiff_t>(change.offset));
    }
};

// SQLite's handle of an open file; it allocates the memory.
struct SimulatedFiles::OpenFile {
    sqlite3_file base;  // first: SQLite knows no more of it
    SimulatedFiles* files;
    std::shared_ptr<Node> node;
    std::string remove_on_close;
};

namespace {

using OpenFile = SimulatedFiles::OpenFile;

SimulatedFiles* registered = nullptr;  // SQLite's VFS table is a global, too

OpenFile& handle(sqlite3_file* file) {
    return *reinterpret_cast<OpenFile*>(file);
}

int close_file(sqlite3_file* file) {
    OpenFile& open = handle(file);
    if (!open.remove_on_close.empty()) {
        open.files->remove(open.remove_on_close.c_str(), false);
    }
    open.node.~shared_ptr();
    open.remove_on_close.~basic_string();
    file->pMethods = nullptr;
    return SQLITE_OK;
}

constexpr int kSharedRegions = 64;

int map_shared(sqlite3_file* file, int region, int size, int extend, void volatile** memory) {
    auto& regions = handle(file).node->shared_memory;
    *memory = nullptr;
    if (region >= kSharedRegions) {
        return SQLITE_IOERR_SHMMAP;
    }
    while (extend != 0 && static_cast<int>(regions.size()) <= region) {
        regions.push_back(std::make_unique<char[]>(static_cast<std::size_t>(size)));
    }
    if (region < static_cast<int>(regions.size())) {
        *memory = regions[static_cast<std::size_t>(region)].get();
    }
    return SQLITE_OK;
}

int unmap_shared(sqlite3_file* file, int remove) {
    if (remove != 0) {
        handle(file).node->shared_memory.clear();
    }
    return SQLITE_OK;
}

const sqlite3_io_methods& io_methods() {
    static const sqlite3_io_methods methods = [] {
        sqlite3_io_methods table{};
        table.iVersion = 2;
        table.xClose = close_file;
        table.xRead = [](sqlite3_file* file, void* buffer, int size, sqlite3_int64 offset) {
            return handle(file).files->read(*handle(file).node, buffer, size, offset);
        };
        table.xWrite = [](sqlite3_file* file, const void* bytes, int size, sqlite3_int64 offset) {
            return handle(file).files->write(*handle(file).node, bytes, size, offset);
        };
        table.xTruncate = [](sqlite3_file* file, sqlite3_int64 size) {
            return handle(file).files->truncate(*handle(file).node, size);
        };
        table.xSync = [](sqlite3_file* file, int) { return handle(file).files->sync(*handle(file).node); };
        table.xFileSize = [](sqlite3_file* file, sqlite3_int64* size) {
            *size = static_cast<sqlite3_int64>(handle(file).node->content.size());
            return SQLITE_OK;
        };
        // One connection at a time: nobody to lock out.
        table.xLock = [](sqlite3_file*, int) { return SQLITE_OK; };
        table.xUnlock = [](sqlite3_file*, int) { return SQLITE_OK; };
        table.xCheckReservedLock = [](sqlite3_file*, int* reserved) {
            *reserved = 0;
            return SQLITE_OK;
        };
        table.xFileControl = [](sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; };
        table.xSectorSize = [](sqlite3_file*) { return 512; };
        // As on Linux: bytes outside a write are never harmed. Nothing is said about order or whole sectors.
        table.xDeviceCharacteristics = [](sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; };
        table.xShmMap = map_shared;
        table.xShmLock = [](sqlite3_file*, int, int, int) { return SQLITE_OK; };
        table.xShmBarrier = [](sqlite3_file*) {};
        table.xShmUnmap = unmap_shared;
        return table;
    }();
    return methods;
}

sqlite3_vfs& vfs() {
    static sqlite3_vfs table = [] {
        sqlite3_vfs made = *sqlite3_vfs_find(nullptr);  // its clock, its random numbers
        made.iVersion = 1;
        made.szOsFile = sizeof(OpenFile);
        made.zName = SimulatedFiles::name();
        made.pNext = nullptr;
        made.xOpen = [](sqlite3_vfs*, const char* path, sqlite3_file* file, int flags, int* flags_out) {
            return registered->open(path, *new (file) OpenFile{}, flags, flags_out);
        };
        made.xDelete = [](sqlite3_vfs*, const char* path, int sync_folder) {
            return registered->remove(path, sync_folder != 0);
        };
        made.xAccess = [](sqlite3_vfs*, const char* path, int, int* found) {
            *found = registered->exists(path) ? 1 : 0;
            return SQLITE_OK;
        };
        made.xFullPathname = [](sqlite3_vfs*, const char* path, int size, char* full) {
            sqlite3_snprintf(size, full, "%s", path);
            return SQLITE_OK;
        };
        made.xSleep = [](sqlite3_vfs*, int microseconds) { return microseconds; };
        return made;
    }();
    return table;
}

}  // namespace

SimulatedFiles::SimulatedFiles() {
    if (registered != nullptr) {
        throw std::logic_error("one set of simulated files at a time");
    }
    registered = this;
    sqlite3_vfs_register(&vfs(), 0);
}

SimulatedFiles::~SimulatedFiles() {
    sqlite3_vfs_unregister(&vfs());
    registered = nullptr;
}

void SimulatedFiles::fail_at(std::int64_t call, FileFault fault) {
    fail_at_ = call;
    fault_ = fault;
    fault_has_come_ = false;
}

int SimulatedFiles::begin_call(int error_of_call) {
    if (power_is_off_) {
        return error_of_call;
    }
    const bool now = fail_at_ == calls_++;
    if (!now) {
        return SQLITE_OK;
    }
    fault_has_come_ = true;
    switch (fault_) {
        case FileFault::none:
            return SQLITE_OK;
        case FileFault::failed_sync:
            sync_will_fail_ = true;
            return SQLITE_OK;
        case FileFault::full_disk:
            disk_is_full_ = true;
            return SQLITE_OK;
        case FileFault::power_cut:
            power_is_off_ = true;
            return error_of_call;
        case FileFault::input_output:
        case FileFault::short_write:
            return error_of_call;
    }
    return SQLITE_OK;
}

int SimulatedFiles::open(const char* path, OpenFile& file, int flags, int* flags_out) {
    const std::string name = path == nullptr ? "temporary-" + std::to_string(calls_) : path;
    file.base.pMethods = nullptr;
    const auto found = names_.find(name);
    if (found == names_.end() && (flags & SQLITE_OPEN_CREATE) == 0) {
        return SQLITE_CANTOPEN;
    }
    if (const int error = begin_call(SQLITE_CANTOPEN); error != SQLITE_OK) {
        return error;
    }
    if (found == names_.end()) {
        if (disk_is_full_) {
            return SQLITE_FULL;
        }
        names_[name] = std::make_shared<Node>();
        names_[name]->syncs_folder =
            (flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL)) != 0;
    }
    file.files = this;
    file.node = names_.at(name);
    if ((flags & SQLITE_OPEN_DELETEONCLOSE) != 0) {
        file.remove_on_close = name;
    }
    file.base.pMethods = &io_methods();
    if (flags_out != nullptr) {
        *flags_out = flags;
    }
    return SQLITE_OK;
}

int SimulatedFiles::remove(const char* path, bool sync_folder) {
    if (const int error = begin_call(SQLITE_IOERR_DELETE); error != SQLITE_OK) {
        return error;
    }
    if (names_.erase(path) == 0) {
        return SQLITE_IOERR_DELETE_NOENT;
    }
    if (sync_folder) {
        sync_names();
    }
    return SQLITE_OK;
}

int SimulatedFiles::read(Node& node, void* buffer, int size, std::int64_t offset) {
    if (const int error = begin_call(SQLITE_IOERR_READ); error != SQLITE_OK) {
        return error;
    }
    const auto start = static_cast<std::size_t>(offset);
    const std::size_t there = start < node.content.size()
                                  ? std::min(node.content.size() - start, static_cast<std::size_t>(size))
                                  : 0;
    std::memset(buffer, 0, static_cast<std::size_t>(size));
    std::copy_n(node.content.begin() + static_cast<std::ptrdiff_t>(there > 0 ? start : 0), there,
                static_cast<char*>(buffer));
    return there < static_cast<std::size_t>(size) ? SQLITE_IOERR_SHORT_READ : SQLITE_OK;
}

int SimulatedFiles::write(Node& node, const void* bytes, int size, std::int64_t offset) {
    if (power_is_off_) {
        return SQLITE_IOERR_WRITE;
    }
    const int error = begin_call(SQLITE_IOERR_WRITE);
    const auto* begin = static_cast<const char*>(bytes);
    Node::Change change{static_cast<std::size_t>(offset), {begin, begin + size}, false};
    if (error == SQLITE_OK && disk_is_full_ && change.offset + change.bytes.size() > node.content.size()) {
        return SQLITE_FULL;  // what lies on the disk can still be overwritten
    }
    if (error != SQLITE_OK && fault_ == FileFault::short_write) {
        change.bytes.resize(change.bytes.size() / 2);
    } else if (error != SQLITE_OK && fault_ != FileFault::power_cut) {
        return error;
    }
    // At the very cut the write may have reached the disk, as all others since the last sync.
    Node::apply(node.content, change, change.bytes.size());
    node.unsynced.push_back(std::move(change));
    return error;
}

int SimulatedFiles::truncate(Node& node, std::int64_t size) {
    if (const int error = begin_call(SQLITE_IOERR_TRUNCATE); error != SQLITE_OK) {
        return error;
    }
    Node::Change change{static_cast<std::size_t>(size), {}, true};
    Node::apply(node.content, change, 0);
    node.unsynced.push_back(std::move(change));
    return SQLITE_OK;
}

int SimulatedFiles::sync(Node& node) {
    if (const int error = begin_call(SQLITE_IOERR_FSYNC); error != SQLITE_OK) {
        return error;
    }
    if (sync_will_fail_) {
        sync_will_fail_ = false;
        return SQLITE_IOERR_FSYNC;
    }
    ++syncs_;
    node.synced = node.content;
    node.unsynced.clear();
    if (node.syncs_folder) {
        node.syncs_folder = false;
        sync_names();
    }
    return SQLITE_OK;
}

// What the disk holds of a file: of the writes since its last sync some, whole or in part, in any order.
void SimulatedFiles::settle(Node& node, std::mt19937_64& random) {
    std::vector<char> content = node.synced;
    auto changes = node.unsynced;
    if (random() % 2 == 0) {
        std::shuffle(changes.begin(), changes.end(), random);
    }
    for (const auto& change : changes) {
        switch (random() % 3) {
            case 0:
                break;
            case 1:
                Node::apply(content, change, change.bytes.size());
                break;
            default:
                Node::apply(content, change, change.bytes.empty() ? 0 : random() % change.bytes.size());
        }
    }
    node.content = content;
    node.synced = std::move(content);
    node.unsynced.clear();
    node.shared_memory.clear();
}

void SimulatedFiles::power_up(std::uint64_t seed) {
    std::mt19937_64 random(seed);
    Names found = synced_names_;
    for (const auto& [name, node] : names_) {
        if (!synced_names_.contains(name) && random() % 2 == 0) {
            found[name] = node;  // it was created, and the disk has heard of it
        }
    }
    for (const auto& [name, node] : synced_names_) {
        if (!names_.contains(name) && random() % 2 == 0) {
            found.erase(name);  // it was removed
        } else if (names_.contains(name) && names_.at(name) != node && random() % 2 == 0) {
            found[name] = names_.at(name);  // removed and made anew
        }
    }
    for (const auto& [name, node] : found) {
        settle(*node, random);
    }
    names_ = found;
    synced_names_ = found;
    power_is_off_ = false;
    disk_is_full_ = false;
    sync_will_fail_ = false;
    fail_at_.reset();
}

}  // namespace orchestrate::test
