#include "common/data/split.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string_view>
#include <tuple>
#include <unordered_map>

#include "common/base/counter_random.h"
#include "common/base/error.h"

namespace orchestrate {
namespace {

constexpr std::uint64_t kSplitStream = 0x53504C4954;  // "SPLIT"
constexpr double kTie = 1e-9;                         // so that rounding, which may differ, decides nothing

struct Group {
    std::vector<std::size_t> rows;
    std::uint64_t hash = 0;
};

std::vector<Group> groups_in_order(const Dataset& dataset, std::uint64_t seed) {
    std::vector<Group> groups;
    std::unordered_map<std::string_view, std::size_t> index_of;
    for (std::size_t row = 0; row < dataset.rows(); ++row) {
        std::size_t index = groups.size();
        if (!dataset.group.empty()) {
            index = index_of.emplace(dataset.group[row], index).first->second;
        }
        if (index == groups.size()) {
            groups.push_back(
                {{}, counter_random(seed, kSplitStream, static_cast<std::uint64_t>(dataset.line[row]))});
        }
        groups[index].rows.push_back(row);
    }
    std::sort(groups.begin(), groups.end(), [](const Group& a, const Group& b) {
        return std::tuple(b.rows.size(), a.hash, a.rows.front()) <
               std::tuple(a.rows.size(), b.hash, b.rows.front());
    });
    return groups;
}

void check_fractions(const SplitConfig& config) {
    const bool negative = config.train <= 0 || config.validation < 0 || config.test < 0;
    if (negative || std::abs(config.train + config.validation + config.test - 1) > 1e-6) {
        throw UserError("data.split has train " + std::to_string(config.train) + ", validation " +
                        std::to_string(config.validation) + ", test " + std::to_string(config.test) +
                        ", expected fractions that add up to 1, with train above 0");
    }
}

// Wanted and present rows of each class in each part; the last "class" is all rows together.
class Balance {
  public:
    // Of all rows of these groups.
    Balance(const Dataset& dataset, const std::vector<Group>& groups, std::vector<double> fractions,
            bool stratify)
        : fractions_(std::move(fractions)),
          stratify_(stratify),
          total_(dataset.classes.size()),
          wanted_(fractions_.size()),
          present_(fractions_.size()) {
        std::vector<double> rows(total_ + 1, 0);
        for (const auto& group : groups) {
            for (const std::size_t row : group.rows) {
                ++rows[static_cast<std::size_t>(dataset.label[row])];
                ++rows[total_];
            }
        }
        for (std::size_t part = 0; part < fractions_.size(); ++part) {
            for (const double count : rows) {
                wanted_[part].push_back(fractions_[part] * count);
            }
            present_[part].assign(total_ + 1, 0);
        }
    }

    // Finds the part for rows of these classes, and counts them there.
    std::size_t place(const std::map<std::size_t, double>& rows_of_class, double rows) {
        std::size_t best = 0;
        double best_growth = growth(0, rows_of_class, rows);
        for (std::size_t part = 1; part < fractions_.size(); ++part) {
            if (fractions_[part] <= 0) {
                continue;
            }
            const double here = growth(part, rows_of_class, rows);
            if (here < best_growth - kTie) {
                best = part;
                best_growth = here;
            }
        }
        for (const auto& [label, count] : rows_of_class) {
            present_[best][label] += count;
        }
        present_[best][total_] += rows;
        return best;
    }

  private:
    double growth(std::size_t part, const std::map<std::size_t, double>& rows_of_class, double rows) const {
        double sum = growth_of(part, total_, rows);
        if (stratify_) {
            for (const auto& [label, count] : rows_of_class) {
                sum += growth_of(part, label, count);
            }
        }
        return sum;
    }
    double growth_of(std::size_t part, std::size_t label, double count) const {
        return count * (count + 2 * (present_[part][label] - wanted_[part][label])) / wanted_[part][label];
    }

    std::vector<double> fractions_;
    bool stratify_;
    std::size_t total_;
    std::vector<std::vector<double>> wanted_;
    std::vector<std::vector<double>> present_;
};

// The part of each group, of parts with these fractions of the groups' rows.
std::vector<std::size_t> place_groups(const Dataset& dataset, const std::vector<Group>& groups,
                                      const std::vector<double>& fractions, bool stratify) {
    Balance balance(dataset, groups, fractions, stratify);
    std::vector<std::size_t> parts;
    parts.reserve(groups.size());
    for (const auto& group : groups) {
        std::map<std::size_t, double> rows_of_class;
        for (const std::size_t row : group.rows) {
            rows_of_class[static_cast<std::size_t>(dataset.label[row])] += 1;
        }
        parts.push_back(balance.place(rows_of_class, static_cast<double>(group.rows.size())));
    }
    return parts;
}

void assign(const std::vector<Group>& groups, const std::vector<std::size_t>& part_of_group,
            std::vector<DataPart>& parts) {
    for (std::size_t i = 0; i < groups.size(); ++i) {
        for (const std::size_t row : groups[i].rows) {
            parts[row] = static_cast<DataPart>(part_of_group[i]);
        }
    }
}

std::vector<DataPart> split_into_folds(const Dataset& dataset, const SplitConfig& config) {
    if (config.fold < 0 || config.fold >= config.folds) {
        throw UserError("data.split.fold is " + std::to_string(config.fold) + ", expected from 0 to " +
                        std::to_string(config.folds - 1) + ", since data.split.folds is " +
                        std::to_string(config.folds));
    }
    const auto groups = groups_in_order(dataset, config.seed);
    const std::vector<double> equal(static_cast<std::size_t>(config.folds),
                                    1 / static_cast<double>(config.folds));
    const auto fold_of_group = place_groups(dataset, groups, equal, config.stratify);
    std::vector<DataPart> parts(dataset.rows(), DataPart::test);
    std::vector<Group> rest;
    for (std::size_t i = 0; i < groups.size(); ++i) {
        if (fold_of_group[i] != static_cast<std::size_t>(config.fold)) {
            rest.push_back(groups[i]);
        }
    }
    const double validation = config.validation / (config.train + config.validation);
    assign(rest, place_groups(dataset, rest, {1 - validation, validation}, config.stratify), parts);
    return parts;
}

std::vector<DataPart> split_once(const Dataset& dataset, const SplitConfig& config) {
    const auto groups = groups_in_order(dataset, config.seed);
    std::vector<DataPart> parts(dataset.rows(), DataPart::train);
    assign(groups,
           place_groups(dataset, groups, {config.train, config.validation, config.test}, config.stratify),
           parts);
    return parts;
}

// Parts that the data names: each has rows, and no group has rows in two of them.
void check_given_parts(const Dataset& dataset, const std::string& column) {
    for (const DataPart part : {DataPart::train, DataPart::validation, DataPart::test}) {
        if (std::find(dataset.part.begin(), dataset.part.end(), part) == dataset.part.end()) {
            throw UserError("no row that is used has '" + to_string(part) + "' in column '" + column +
                            "' (data.split.column); expected rows of train, validation and test");
        }
    }
    std::unordered_map<std::string_view, std::size_t> first_row;
    for (std::size_t row = 0; row < dataset.group.size(); ++row) {
        const std::size_t first = first_row.emplace(dataset.group[row], row).first->second;
        if (dataset.part[first] != dataset.part[row]) {
            throw UserError("lines " + std::to_string(dataset.line[first]) + " and " +
                            std::to_string(dataset.line[row]) +
                            " belong to the same group (data.split.group_by), but column '" + column +
                            "' (data.split.column) puts the first into " + to_string(dataset.part[first]) +
                            " and the second into " + to_string(dataset.part[row]) +
                            "; keep each group in one part, or leave group_by out");
        }
    }
}

}  // namespace

std::vector<DataPart> split_rows(const Dataset& dataset, const SplitConfig& config) {
    if (config.column) {
        check_given_parts(dataset, *config.column);
        return dataset.part;
    }
    check_fractions(config);
    auto parts = config.folds > 0 ? split_into_folds(dataset, config) : split_once(dataset, config);
    const std::array<double, 3> fractions = {config.train, config.validation, config.test};
    for (std::size_t part = 0; part < fractions.size(); ++part) {
        const auto value = static_cast<DataPart>(part);
        if (fractions[part] > 0 && std::find(parts.begin(), parts.end(), value) == parts.end()) {
            const std::string of_fold =
                config.folds > 0 && value == DataPart::test
                    ? " of fold " + std::to_string(config.fold + 1) + " of " + std::to_string(config.folds)
                    : "";
            throw UserError("the " + to_string(value) + " part" + of_fold +
                            " (data.split) gets none of the " + std::to_string(dataset.rows()) +
                            " rows; use more rows, a larger fraction, or group by a column with more values");
        }
    }
    return parts;
}

std::vector<AbsentClasses> absent_classes(const Dataset& dataset, const std::vector<DataPart>& parts) {
    constexpr std::array kParts = {DataPart::train, DataPart::validation, DataPart::test};
    const std::size_t classes = dataset.classes.size();
    std::vector<std::int64_t> rows(kParts.size() * classes, 0);
    std::array<std::int64_t, kParts.size()> rows_of_part{};
    for (std::size_t row = 0; row < parts.size(); ++row) {
        const auto part = static_cast<std::size_t>(parts[row]);
        ++rows[part * classes + static_cast<std::size_t>(dataset.label[row])];
        ++rows_of_part[part];
    }
    std::vector<AbsentClasses> absent;
    for (const DataPart part : kParts) {
        const auto at = static_cast<std::size_t>(part);
        AbsentClasses found{to_string(part), {}};
        for (std::size_t id = 0; id < classes && rows_of_part[at] > 0; ++id) {
            if (rows[at * classes + id] == 0) {
                found.classes.push_back(dataset.classes[id]);
            }
        }
        if (!found.classes.empty()) {
            absent.push_back(std::move(found));
        }
    }
    return absent;
}

}  // namespace orchestrate
