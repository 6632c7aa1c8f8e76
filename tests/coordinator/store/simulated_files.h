// Files in memory beneath SQLite (a VFS of its own): the n-th call can fail in the ways disks do, and the power can be
// cut at the n-th call. Then every write since the file's last sync is kept, lost or torn, each on its own and in any
// order, and so is every change of a name since the folder's last sync. What was synced stays.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <sqlite3.h>

namespace orchestrate::test {

enum class FileFault {
    none,
    input_output,  // the call fails
    short_write,   // a write stops half way and fails; other calls fail
    failed_sync,   // the next sync from there on fails, and what it should have synced is not
    full_disk,     // from there on there is no room, until make_room()
    power_cut,     // the call and all later ones do not happen, until power_up()
};

class SimulatedFiles {
  public:
    // Registers itself with SQLite as `name()`; one at a time.
    SimulatedFiles();
    ~SimulatedFiles();
    SimulatedFiles(const SimulatedFiles&) = delete;
    SimulatedFiles& operator=(const SimulatedFiles&) = delete;

    static const char* name() { return "simulated-files"; }

    // The fault comes at the call of that number, counted from 0; calls so far count. Once, but for full_disk and
    // power_cut.
    void fail_at(std::int64_t call, FileFault fault);
    void make_room() { disk_is_full_ = false; }

    // Calls so far that a fault could have hit: reads, writes, syncs, truncations, creations and removals of files.
    std::int64_t calls() const { return calls_; }
    std::int64_t syncs() const { return syncs_; }
    bool fault_has_come() const { return fault_has_come_; }
    bool power_is_off() const { return power_is_off_; }

    // What the machine finds when it starts again; `seed` chooses among all that may be.
    void power_up(std::uint64_t seed);

    // Of SQLite's calls; no one else's.
    struct Node;
    struct OpenFile;
    int open(const char* path, OpenFile& file, int flags, int* flags_out);
    int remove(const char* path, bool sync_folder);
    bool exists(const char* path) const { return names_.contains(path); }
    int read(Node& node, void* buffer, int size, std::int64_t offset);
    int write(Node& node, const void* bytes, int size, std::int64_t offset);
    int truncate(Node& node, std::int64_t size);
    int sync(Node& node);

  private:
    using Names = std::map<std::string, std::shared_ptr<Node>>;

    // Counts the call. SQLITE_OK, or the error that it ends with.
    int begin_call(int error_of_call);
    void sync_names() { synced_names_ = names_; }
    static void settle(Node& node, std::mt19937_64& random);

    Names names_;
    Names synced_names_;
    std::int64_t calls_ = 0;
    std::int64_t syncs_ = 0;
    std::optional<std::int64_t> fail_at_;
    FileFault fault_ = FileFault::none;
    bool fault_has_come_ = false;
    bool sync_will_fail_ = false;
    bool disk_is_full_ = false;
    bool power_is_off_ = false;
};

}  // namespace orchestrate::test
