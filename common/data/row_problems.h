// Collects what is wrong with single rows of a data file: of each kind the first ones, and how many more there are.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "common/data/dataset.h"

namespace orchestrate {

class RowProblems {
  public:
    // Problems of equal `kind` (any string) are "such rows". `make` returns the DatasetProblem; it is called for the
    // first ones only.
    template <class Make>
    void add(const std::string& kind, Make make) {
        Kind& found = kind_of(kind);
        if (++found.count <= kMaxReported) {
            found.first.push_back(make());
        }
    }

    std::size_t count() const;

    // At most kMaxReported problems, of each kind at least one, in order of lines. The last one of a kind says how
    // many more there are.
    std::vector<DatasetProblem> reported() const;

  private:
    static constexpr std::size_t kMaxReported = 10;

    struct Kind {
        std::string name;
        std::size_t count = 0;
        std::vector<DatasetProblem> first;
    };

    Kind& kind_of(const std::string& name);

    std::vector<Kind> kinds_;
};

}  // namespace orchestrate
