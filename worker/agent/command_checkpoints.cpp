#include "worker/agent/command_checkpoints.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <system_error>

#include "common/job/command_checkpoints.h"

namespace orchestrate {
namespace {

namespace fs = std::filesystem;

bool have_same_content(const fs::path& a, const fs::path& b) {
    std::error_code error;
    if (!fs::is_regular_file(b, error) || fs::file_size(a, error) != fs::file_size(b, error) || error) {
        return false;
    }
    if (fs::equivalent(a, b, error)) {
        return true;
    }
    std::ifstream first(a, std::ios::binary);
    std::ifstream second(b, std::ios::binary);
    std::array<char, 65536> first_part{};
    std::array<char, 65536> second_part{};
    while (first && second) {
        first.read(first_part.data(), first_part.size());
        second.read(second_part.data(), second_part.size());
        if (first.gcount() != second.gcount() ||
            !std::equal(first_part.begin(), first_part.begin() + first.gcount(), second_part.begin())) {
            return false;
        }
    }
    return first.eof() && second.eof();
}

}  // namespace

std::string directory_of(const StoredCheckpoint& checkpoint) {
    std::error_code error;
    const fs::path path = checkpoint.file;
    return (fs::is_regular_file(path, error) ? path.parent_path() : path).string();
}

const StoredCheckpoint* checkpoint_to_resume(const std::vector<StoredCheckpoint>& candidates) {
    for (const auto& candidate : candidates) {
        bool found = false;
        visit_finished_files(directory_of(candidate), [&](const fs::path&) {
            found = true;
            return false;
        });
        if (found) {
            return &candidate;
        }
    }
    return nullptr;
}

bool has_new_checkpoint(const fs::path& directory, const fs::path& resumed_from) {
    bool found = false;
    visit_finished_files(directory, [&](const fs::path& file) {
        found = resumed_from.empty() || !have_same_content(directory / file, resumed_from / file);
        return !found;
    });
    return found;
}

}  // namespace orchestrate
