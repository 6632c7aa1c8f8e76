// The classes that the labels of a data file name: which are used, in what order, and what looks wrong with them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/data/dataset.h"

namespace orchestrate {

class LabelClasses {
  public:
    // The configuration must outlive it; `file` names the data file in messages.
    LabelClasses(const DataConfig& config, std::string file);

    // The index of the class of a label; nothing if the study does not use it. A class that was not seen before gets
    // the next index if the study uses all of them.
    std::optional<std::int32_t> id_of(std::string_view label);

    // What is wrong: configured classes that do not occur; and, if `has_all_rows`, too few classes or rows. `label` has
    // an index for each row that is used.
    std::vector<DatasetProblem> problems(const std::vector<std::int32_t>& label, bool has_all_rows) const;

    // Classes that have rows in `before` and none in `after`.
    std::vector<std::string> lost(const std::vector<std::int32_t>& before,
                                  const std::vector<std::int32_t>& after) const;

    // What looks wrong, in words: labels that differ in case or white space only, words for a missing value, numbers.
    std::vector<DatasetWarning> warnings(const std::vector<std::int32_t>& label) const;

    // The names in the order of their UTF-8 bytes, which is that of code points; changes the indices in `label` to it.
    std::vector<std::string> sort(std::vector<std::int32_t>& label) const;

  private:
    struct StringHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
    };

    std::vector<std::int64_t> rows_of_classes(const std::vector<std::int32_t>& label) const;
    void check_number_of_rows(std::int64_t rows, std::vector<DatasetProblem>& problems) const;

    const DataConfig& config_;
    std::string file_;
    std::unordered_map<std::string, std::int32_t, StringHash, std::equal_to<>> classes_;  // to their index
    // Not among the configured, with their rows.
    std::map<std::string, std::int64_t, std::less<>> other_labels_;
};

}  // namespace orchestrate
