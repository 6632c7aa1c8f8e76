// A disk in memory whose power can be cut at any call. Then every write since the file's last sync is kept, lost,
// torn, or left as zeros, each on its own and in any order; so is every change of a name since the folder's last
// sync. What was synced stays.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "common/base/durable_files.h"

namespace orchestrate::test {

// Thrown at the cut, and by every call after it. No std::exception: nobody may take it for an error of a file and
// go on.
struct PowerCut {};

// Which syncs do nothing, to show that a test would notice if they were missing.
enum class Swallowed { nothing, file_sync, folder_sync };

class SimulatedDisk final : public DurableFiles {
  public:
    explicit SimulatedDisk(Swallowed swallowed = Swallowed::nothing);

    // The power fails during the call of that number, counted from 0; calls so far count.
    void cut_power_at(int call) { cut_at_ = call; }
    int calls() const { return calls_; }

    // What the machine finds when it starts again; `seed` chooses among all that may be.
    void power_up(std::uint64_t seed);

    // Turns one bit over, as a bad disk does.
    void flip_bit(const std::filesystem::path& path, std::size_t bit);
    // Later writes of files fail with this error number; 0: no longer.
    void fail_writes(int error_number) { write_error_ = error_number; }

    std::unique_ptr<FileWriter> create(const std::filesystem::path& path) override;
    std::vector<std::byte> read(const std::filesystem::path& path) override;
    std::vector<std::string> list(const std::filesystem::path& folder) override;
    void rename(const std::filesystem::path& from, const std::filesystem::path& to) override;
    void remove(const std::filesystem::path& path) override;
    void create_folder(const std::filesystem::path& folder) override;
    void sync_folder(const std::filesystem::path& folder) override;

  private:
    class Writer;
    using Bytes = std::vector<std::byte>;
    struct Write {
        std::size_t offset = 0;
        Bytes bytes;
    };
    struct Node;
    using Entries = std::map<std::string, std::shared_ptr<Node>>;
    // One change of names, which happens as a whole or not at all: `removed` goes, `added` comes.
    struct NameChange {
        std::string removed;
        std::string added;
        std::shared_ptr<Node> node;
    };
    // A file or a folder.
    struct Node {
        Bytes content;  // as programs see it
        Bytes synced;
        std::vector<Write> unsynced_writes;
        bool is_folder = false;
        Entries entries;
        Entries synced_entries;
        std::vector<NameChange> unsynced_changes;
    };

    // Counts the call; throws if the power is off, or fails now and `changes_nothing`.
    void begin_call();
    void end_call() const;
    std::shared_ptr<Node> find(const std::filesystem::path& path) const;
    Node& folder_of(const std::filesystem::path& path);
    void change_name(Node& folder, NameChange change);
    void settle(Node& node, std::mt19937_64& random);

    Swallowed swallowed_;
    std::shared_ptr<Node> root_ = std::make_shared<Node>();
    int calls_ = 0;
    std::optional<int> cut_at_;
    int write_error_ = 0;
};

// Runs `work(disk)` on a fresh disk with the power cut at every one of its calls in turn, brings the disk up again
// in several ways each, and counts how often `is_sound(disk)` then says no. `work` begins with what it remembers
// empty, each time.
template <class Work, class IsSound>
int damages_by_power_cuts(Swallowed swallowed, Work work, IsSound is_sound) {
    constexpr std::uint64_t kSeeds = 20;
    int damages = 0;
    bool finished = false;
    for (int call = 0; !finished; ++call) {
        for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
            SimulatedDisk disk(swallowed);
            disk.cut_power_at(call);
            try {
                work(disk);
                finished = true;
            } catch (const PowerCut&) {
            }
            disk.power_up(seed * 7919 + static_cast<std::uint64_t>(call));
            damages += is_sound(disk) ? 0 : 1;
        }
    }
    return damages;
}

}  // namespace orchestrate::test
