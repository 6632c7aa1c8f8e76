#include "tests/common/simulated_disk.h"

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace orchestrate::test {
namespace {

[[noreturn]] void fail(int error, const std::filesystem::path& path) {
    throw std::system_error(error, std::generic_category(), "simulated disk: '" + path.string() + "'");
}

void put(std::vector<std::byte>& content, std::size_t offset, std::span<const std::byte> bytes) {
    content.resize(std::max(content.size(), offset + bytes.size()));
    std::copy(bytes.begin(), bytes.end(), content.begin() + static_cast<std::ptrdiff_t>(offset));
}

}  // namespace

class SimulatedDisk::Writer final : public FileWriter {
  public:
    Writer(SimulatedDisk& disk, std::shared_ptr<Node> node, std::filesystem::path path)
        : disk_(disk), node_(std::move(node)), path_(std::move(path)) {}

    void write(std::span<const std::byte> bytes) override {
        disk_.begin_call();
        if (disk_.write_error_ != 0) {
            fail(disk_.write_error_, path_);
        }
        node_->unsynced_writes.push_back({node_->content.size(), {bytes.begin(), bytes.end()}});
        put(node_->content, node_->content.size(), bytes);
        disk_.end_call();
    }

    void sync() override {
        disk_.begin_call();
        disk_.end_call();
        if (disk_.swallowed_ != Swallowed::file_sync) {
            node_->synced = node_->content;
            node_->unsynced_writes.clear();
        }
    }

  private:
    SimulatedDisk& disk_;
    std::shared_ptr<Node> node_;
    std::filesystem::path path_;
};

SimulatedDisk::SimulatedDisk(Swallowed swallowed) : swallowed_(swallowed) {
    root_->is_folder = true;
}

void SimulatedDisk::begin_call() {
    if (cut_at_ && calls_ > *cut_at_) {
        throw PowerCut();
    }
    ++calls_;
}

void SimulatedDisk::end_call() const {
    if (cut_at_ && calls_ > *cut_at_) {
        throw PowerCut();
    }
}

std::shared_ptr<SimulatedDisk::Node> SimulatedDisk::find(const std::filesystem::path& path) const {
    std::shared_ptr<Node> node = root_;
    for (const auto& part : path.relative_path()) {
        const auto found = node->entries.find(part.string());
        if (found == node->entries.end()) {
            return nullptr;
        }
        node = found->second;
    }
    return node;
}

SimulatedDisk::Node& SimulatedDisk::folder_of(const std::filesystem::path& path) {
    const auto folder = find(path.parent_path());
    if (!folder || !folder->is_folder) {
        fail(ENOENT, path);
    }
    return *folder;
}

void SimulatedDisk::change_name(Node& folder, NameChange change) {
    folder.entries.erase(change.removed);
    if (change.node) {
        folder.entries[change.added] = change.node;
    }
    folder.unsynced_changes.push_back(std::move(change));
}

std::unique_ptr<FileWriter> SimulatedDisk::create(const std::filesystem::path& path) {
    begin_call();
    Node& folder = folder_of(path);
    auto node = std::make_shared<Node>();
    change_name(folder, {"", path.filename().string(), node});
    end_call();
    return std::make_unique<Writer>(*this, std::move(node), path);
}

std::vector<std::byte> SimulatedDisk::read(const std::filesystem::path& path) {
    begin_call();
    end_call();
    const auto node = find(path);
    if (!node || node->is_folder) {
        fail(ENOENT, path);
    }
    return node->content;
}

std::vector<std::string> SimulatedDisk::list(const std::filesystem::path& folder) {
    begin_call();
    end_call();
    std::vector<std::string> names;
    if (const auto node = find(folder)) {
        for (const auto& [name, entry] : node->entries) {
            names.push_back(name);
        }
    }
    return names;
}

void SimulatedDisk::rename(const std::filesystem::path& from, const std::filesystem::path& to) {
    begin_call();
    const auto node = find(from);
    if (!node || from.parent_path() != to.parent_path()) {
        fail(ENOENT, from);
    }
    change_name(folder_of(to), {from.filename().string(), to.filename().string(), node});
    end_call();
}

void SimulatedDisk::remove(const std::filesystem::path& path) {
    begin_call();
    if (find(path)) {
        change_name(folder_of(path), {path.filename().string(), "", nullptr});
    }
    end_call();
}

void SimulatedDisk::create_folder(const std::filesystem::path& folder) {
    begin_call();
    if (!find(folder)) {
        auto node = std::make_shared<Node>();
        node->is_folder = true;
        change_name(folder_of(folder), {"", folder.filename().string(), node});
    }
    end_call();
}

void SimulatedDisk::sync_folder(const std::filesystem::path& folder) {
    begin_call();
    end_call();
    const auto node = find(folder);
    if (!node || !node->is_folder) {
        fail(ENOENT, folder);
    }
    if (swallowed_ != Swallowed::folder_sync) {
        node->synced_entries = node->entries;
        node->unsynced_changes.clear();
    }
}

void SimulatedDisk::power_up(std::uint64_t seed) {
    std::mt19937_64 random(seed);
    settle(*root_, random);
    cut_at_.reset();
    calls_ = 0;
}

void SimulatedDisk::settle(Node& node, std::mt19937_64& random) {
    std::shuffle(node.unsynced_writes.begin(), node.unsynced_writes.end(), random);
    Bytes content = node.synced;
    for (const Write& write : node.unsynced_writes) {
        enum Fate { lost, kept, torn, zeros };
        switch (static_cast<Fate>(random() % 4)) {
            case lost:
                break;
            case kept:
                put(content, write.offset, write.bytes);
                break;
            case torn:
                put(content, write.offset, std::span(write.bytes).first(random() % (write.bytes.size() + 1)));
                break;
            case zeros:
                put(content, write.offset, Bytes(write.bytes.size()));
                break;
        }
    }
    node.content = node.synced = std::move(content);
    node.unsynced_writes.clear();
    std::shuffle(node.unsynced_changes.begin(), node.unsynced_changes.end(), random);
    Entries entries = node.synced_entries;
    for (const NameChange& change : node.unsynced_changes) {
        if (random() % 2 == 0) {
            continue;
        }
        entries.erase(change.removed);
        if (change.node) {
            entries[change.added] = change.node;
        }
    }
    node.entries = node.synced_entries = std::move(entries);
    node.unsynced_changes.clear();
    for (auto& [name, entry] : node.entries) {
        settle(*entry, random);
    }
}

void SimulatedDisk::flip_bit(const std::filesystem::path& path, std::size_t bit) {
    Bytes& content = find(path)->content;
    content.at(bit / 8) ^= std::byte{1} << static_cast<int>(bit % 8);
}

}  // namespace orchestrate::test
