#include "coordinator/dispatch/short_jobs.h"

#include <algorithm>

namespace orchestrate {
namespace {

constexpr int kEnough = 4;
constexpr double kWeightOfNewest = 1.0 / 16;
constexpr ShortJobs::Seconds kLeastPatience{1};
constexpr double kPatienceInMeans = 10;

}  // namespace

void ShortJobs::took(int ranks, Seconds time) {
    Width& width = widths_[ranks];
    ++width.seen;
    width.mean += (time - width.mean) * std::max(1.0 / width.seen, kWeightOfNewest);
}

int ShortJobs::ahead(int ranks) const {
    const auto found = widths_.find(ranks);
    if (found == widths_.end() || found->second.seen < kEnough) {
        return 0;
    }
    return static_cast<int>(
        std::min<double>(kMost, kWorkAhead / std::max(found->second.mean, Seconds(1e-6))));
}

ShortJobs::Seconds ShortJobs::patience(int ranks) const {
    const auto found = widths_.find(ranks);
    return found == widths_.end() ? kLeastPatience
                                  : std::max(kLeastPatience, kPatienceInMeans * found->second.mean);
}

}  // namespace orchestrate
