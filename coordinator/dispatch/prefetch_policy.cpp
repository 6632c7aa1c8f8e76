#include "coordinator/dispatch/prefetch_policy.h"

#include <algorithm>

namespace orchestrate {
namespace {

constexpr int kEnough = 4;
constexpr double kWeightOfNewest = 1.0 / 16;
constexpr PrefetchPolicy::Seconds kLeastPatience{1};
constexpr double kPatienceInMeans = 10;

}  // namespace

void PrefetchPolicy::took(int ranks, Seconds time) {
    Width& width = widths_[ranks];
    ++width.seen;
    width.mean += (time - width.mean) * std::max(1.0 / width.seen, kWeightOfNewest);
}

int PrefetchPolicy::ahead(int ranks) const {
    const auto found = widths_.find(ranks);
    if (found == widths_.end() || found->second.seen < kEnough) {
        return 0;
    }
    return static_cast<int>(std::min<double>(kMax, kWorkAhead / std::max(found->second.mean, Seconds(1e-6))));
}

PrefetchPolicy::Seconds PrefetchPolicy::patience(int ranks) const {
    const auto found = widths_.find(ranks);
    return found == widths_.end() ? kLeastPatience
                                  : std::max(kLeastPatience, kPatienceInMeans * found->second.mean);
}

}  // namespace orchestrate
