#include <string_view>

#include "common/job/job_config.h"

namespace orchestrate {

std::optional<TrainingMetric> selection_metric(EpochSelection selection) {
    constexpr std::string_view kPrefix = "best_validation_";
    const std::string name = to_string(selection);
    return name.starts_with(kPrefix) ? enum_from_name<TrainingMetric>(name.substr(kPrefix.size()))
                                     : std::nullopt;
}

}  // namespace orchestrate
