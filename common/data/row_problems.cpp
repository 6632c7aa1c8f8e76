#include "common/data/row_problems.h"

#include <algorithm>

namespace orchestrate {

RowProblems::Kind& RowProblems::kind_of(const std::string& name) {
    const auto found =
        std::find_if(kinds_.begin(), kinds_.end(), [&](const Kind& kind) { return kind.name == name; });
    return found != kinds_.end() ? *found : kinds_.emplace_back(Kind{name, 0, {}});
}

std::size_t RowProblems::count() const {
    std::size_t sum = 0;
    for (const auto& kind : kinds_) {
        sum += kind.count;
    }
    return sum;
}

std::vector<DatasetProblem> RowProblems::reported() const {
    std::vector<DatasetProblem> problems;
    const std::size_t shown_kinds = std::min(kinds_.size(), kMaxReported);
    for (std::size_t i = 0; i < shown_kinds; ++i) {
        const Kind& kind = kinds_[i];
        const std::size_t shown = std::min(kind.first.size(), kMaxReported / shown_kinds);
        problems.insert(problems.end(), kind.first.begin(),
                        kind.first.begin() + static_cast<std::ptrdiff_t>(shown));
        if (kind.count > shown) {
            const std::size_t more = kind.count - shown;
            problems.back().message +=
                "; " + std::to_string(more) + " more such row" + (more == 1 ? "" : "s");
        }
    }
    std::stable_sort(problems.begin(), problems.end(),
                     [](const DatasetProblem& a, const DatasetProblem& b) { return a.line < b.line; });
    if (kinds_.size() > shown_kinds) {
        problems.back().message += "; and rows with other errors in " +
                                   std::to_string(kinds_.size() - shown_kinds) + " more columns";
    }
    return problems;
}

}  // namespace orchestrate
