#include "common/base/folder_size.h"

#include <system_error>

namespace orchestrate {

std::int64_t bytes_in(const std::filesystem::path& folder) {
    std::int64_t bytes = 0;
    std::error_code error;
    for (std::filesystem::recursive_directory_iterator entry(folder, error), end; !error && entry != end;
         entry.increment(error)) {
        std::error_code ignored;
        const auto size = entry->is_regular_file(ignored) ? entry->file_size(ignored) : 0;
        bytes += ignored ? 0 : static_cast<std::int64_t>(size);
    }
    return bytes;
}

}  // namespace orchestrate
