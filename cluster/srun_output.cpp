#include "cluster/srun_output.h"

#include <algorithm>
#include <charconv>

namespace orchestrate {

namespace {

constexpr std::string_view kSrunError = "srun: error: ";

// Takes the first line off a text that is not empty.
std::string_view take_line(std::string_view& text) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    return line;
}

}  // namespace

std::optional<int> first_task_exit_code(std::string_view srun_output) {
    constexpr std::string_view kExited = ": Exited with exit code ";
    while (!srun_output.empty()) {
        std::string_view line = take_line(srun_output);
        if (!line.starts_with(kSrunError) || line.find(": task") == std::string_view::npos) {
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

std::string_view step_state(std::string_view srun_output) {
    while (!srun_output.empty()) {
        std::string_view line = take_line(srun_output);
        if (line.starts_with(kSrunError) || line.find("Terminating StepId=") != std::string_view::npos) {
            return {};
        }
        const std::size_t writer =
            line.find_first_not_of("0123456789: ");  // with --label, the task's number is first
        line = line.substr(std::min(writer, line.size()));
        const std::size_t step = line.find(": error: *** STEP ");
        const std::size_t cancelled = line.find(" CANCELLED AT ");
        if (!line.starts_with("slurmstepd") || step == std::string_view::npos ||
            cancelled == std::string_view::npos || cancelled < step) {
            continue;
        }
        line = line.substr(cancelled);
        const auto due_to = [&](std::string_view reason) {
            return line.find(reason) != std::string_view::npos;
        };
        return due_to(" DUE TO TIME LIMIT")     ? "TIMEOUT"
               : due_to(" DUE TO PREEMPTION")   ? "PREEMPTED"
               : due_to(" DUE TO NODE FAILURE") ? "NODE_FAIL"
                                                : "CANCELLED";
    }
    return {};
}

}  // namespace orchestrate
