#include "common/data/row_sample.h"

#include <algorithm>
#include <tuple>

#include "common/base/counter_random.h"

namespace orchestrate {
namespace {

constexpr std::uint64_t kSampleStream = 0x53414D504C45;  // "SAMPLE"

struct Ranked {
    double rank = 0;
    std::uint64_t hash = 0;
    std::size_t row = 0;
};

}  // namespace

std::vector<std::size_t> sample_rows(std::span<const std::int32_t> label, std::span<const std::int64_t> line,
                                     std::size_t wanted, std::uint64_t seed) {
    std::vector<std::vector<Ranked>> by_class;
    for (std::size_t row = 0; row < label.size(); ++row) {
        const auto id = static_cast<std::size_t>(label[row]);
        by_class.resize(std::max(by_class.size(), id + 1));
        by_class[id].push_back(
            {0, counter_random(seed, kSampleStream, static_cast<std::uint64_t>(line[row])), row});
    }
    std::vector<Ranked> all;
    for (auto& members : by_class) {
        std::sort(members.begin(), members.end(), [](const Ranked& a, const Ranked& b) {
            return std::tie(a.hash, a.row) < std::tie(b.hash, b.row);
        });
        for (std::size_t r = 1; r < members.size(); ++r) {
            members[r].rank = (static_cast<double>(r) + 0.5) / static_cast<double>(members.size());
        }
        all.insert(all.end(), members.begin(), members.end());
    }
    std::sort(all.begin(), all.end(), [](const Ranked& a, const Ranked& b) {
        return std::tie(a.rank, a.hash, a.row) < std::tie(b.rank, b.hash, b.row);
    });
    std::vector<std::size_t> rows(wanted);
    std::transform(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(wanted), rows.begin(),
                   [](const Ranked& ranked) { return ranked.row; });
    std::sort(rows.begin(), rows.end());
    return rows;
}

}  // namespace orchestrate
