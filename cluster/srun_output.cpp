#include "cluster/srun_output.h"

#include <charconv>

namespace orchestrate {

std::optional<int> first_task_exit_code(std::string_view srun_output) {
    constexpr std::string_view kPrefix = "srun: error: ";
    constexpr std::string_view kExited = ": Exited with exit code ";
    while (!srun_output.empty()) {
        const std::size_t end = srun_output.find('\n');
        std::string_view line = srun_output.substr(0, end);
        srun_output = end == std::string_view::npos ? std::string_view() : srun_output.substr(end + 1);
        if (!line.starts_with(kPrefix) || line.find(": task") == std::string_view::npos) {
            continue;
        }
        const std::size_t at = line.find(kExited);
        if (at == std::string_view::npos) {
            return std::nullopt;  // "Killed", "Segmentation fault"
        }
        line.remove_prefix(at + kExited.size());
        int code = 0;
        const auto parsed = std::from_chars(line.data(), line.data() + line.size(), code);
        return parsed.ec == std::errc() ? std::optional(code) : std::nullopt;
    }
    return std::nullopt;
}

}  // namespace orchestrate
