#include "common/job/command_checkpoints.h"

#include <algorithm>
#include <system_error>

namespace orchestrate {

namespace fs = std::filesystem;

bool is_unfinished_name(const std::string& name) {
    return name.starts_with(".") || name.ends_with(".part") || name.ends_with(".tmp");
}

void visit_finished_files(const fs::path& directory, const std::function<bool(const fs::path&)>& visit) {
    std::error_code error;
    for (fs::recursive_directory_iterator entry(directory, error), end; !error && entry != end;
         entry.increment(error)) {
        std::error_code gone;
        if (is_unfinished_name(entry->path().filename().string())) {
            entry.disable_recursion_pending();
        } else if (entry->symlink_status(gone).type() == fs::file_type::regular) {
            if (!visit(entry->path().lexically_relative(directory))) {
                return;
            }
        }
    }
}

std::vector<fs::path> finished_files(const fs::path& directory) {
    std::vector<fs::path> files;
    visit_finished_files(directory, [&](const fs::path& file) {
        files.push_back(file);
        return true;
    });
    std::sort(files.begin(), files.end());
    return files;
}

}  // namespace orchestrate
