#include "coordinator/cli/plan_space.h"

#include <algorithm>

#include <fmt/format.h>

#include "common/job/model_size.h"

namespace orchestrate {
namespace {

constexpr std::int64_t kFloat = 4;  // bytes
constexpr std::int64_t kKeptCheckpoints = 2;

std::string bytes_text(std::int64_t bytes) {
    const auto amount = static_cast<double>(bytes);
    return amount >= 1e9   ? fmt::format("{:.1f} GB", amount / 1e9)
           : amount >= 1e6 ? fmt::format("{:.1f} MB", amount / 1e6)
                           : fmt::format("{:.0f} kB", amount / 1e3);
}

}  // namespace

SpaceNeeded space_needed(const std::vector<PlannedJob>& jobs, std::int64_t vocabulary, std::int64_t classes,
                         std::int64_t jobs_at_a_time, std::int64_t paused, bool saves_models) {
    SpaceNeeded space;
    std::int64_t all = 0;
    for (const auto& job : jobs) {
        const std::int64_t parameters = model_parameters(job.config.model, vocabulary, classes);
        const bool keeps_best = job.config.train.epoch_selection != EpochSelection::last;
        space.parameters = std::max(space.parameters, parameters);
        space.checkpoint_bytes = std::max(space.checkpoint_bytes, kFloat * parameters * (keeps_best ? 4 : 3));
        space.memory_per_rank = std::max(space.memory_per_rank, kFloat * parameters * (keeps_best ? 5 : 4));
        if (saves_models) {
            space.models += job.count;
            space.model_bytes += kFloat * parameters * job.count;
        }
        all += job.count;
    }
    space.checkpoints = kKeptCheckpoints * std::min(all, jobs_at_a_time + paused);
    return space;
}

std::string render_space(const SpaceNeeded& space) {
    if (space.parameters == 0) {
        return "";
    }
    std::string text = fmt::format("disk: at most {} of checkpoints at a time ({} of {}){}\n",
                                   bytes_text(space.checkpoints * space.checkpoint_bytes), space.checkpoints,
                                   bytes_text(space.checkpoint_bytes),
                                   space.models > 0 ? fmt::format(",\n  {} of {} saved models",
                                                                  bytes_text(space.model_bytes), space.models)
                                                    : "");
    return text + fmt::format("memory: {} a rank for {:.2f} million parameters; activations not counted\n",
                              bytes_text(space.memory_per_rank), static_cast<double>(space.parameters) / 1e6);
}

}  // namespace orchestrate
