#include "experiments/checks/split_checks.h"

#include <algorithm>

#include <fmt/format.h>

#include "common/base/error.h"
#include "common/data/split.h"

namespace orchestrate {
namespace {

// Rows that are assigned at most, over all splits that are checked.
constexpr std::size_t kMaxRowsSplit = 3'000'000;

// In how many splits a part lacks a class, of each part and class.
using SplitsWithout = std::map<std::string, std::map<std::string, std::size_t>>;

std::vector<SplitConfig> splits_of(const Settings& settings, std::size_t rows) {
    const auto& data = settings.job.data;
    std::vector<SplitConfig> splits;
    // A sample of rows depends on the seed: of further repeats, other rows.
    const std::int64_t repeats = data.max_rows > 0 ? 1 : settings.split_repeats;
    const std::size_t limit = std::max<std::size_t>(1, kMaxRowsSplit / std::max<std::size_t>(1, rows));
    for (std::int64_t repeat = 0; repeat < repeats; ++repeat) {
        for (std::int64_t fold = 0; fold < std::max<std::int64_t>(1, data.split.folds); ++fold) {
            if (splits.size() == limit) {
                return splits;
            }
            SplitConfig split = data.split;
            split.seed += static_cast<std::uint64_t>(repeat);
            split.fold = fold;
            splits.push_back(std::move(split));
        }
    }
    return splits;
}

std::string listed(const std::map<std::string, std::size_t>& splits_of_class, const Dataset& dataset) {
    constexpr std::size_t kMaxShown = 6;
    std::string text;
    std::size_t shown = 0;
    for (const auto& [name, splits] : splits_of_class) {
        if (shown++ == kMaxShown) {
            return text + fmt::format(" and {} more", splits_of_class.size() - kMaxShown);
        }
        const auto id =
            std::lower_bound(dataset.classes.begin(), dataset.classes.end(), name) - dataset.classes.begin();
        const auto rows =
            std::count(dataset.label.begin(), dataset.label.end(), static_cast<std::int32_t>(id));
        text += fmt::format("{}'{}' ({} row{})", text.empty() ? "" : ", ", name, rows, rows == 1 ? "" : "s");
    }
    return text;
}

const char* consequence(const std::string& part) {
    if (part == "train") {
        return "what is not in it cannot be learned";
    }
    return part == "test" ? "each of them counts as 0 in the macro averages"
                          : "epochs and the best of a search are chosen without them";
}

std::string remedy(const SplitConfig& split, const std::string& part) {
    if (split.column) {
        return "add rows, or leave the class out of data.classes";
    }
    if (!split.group_by.empty()) {
        return "add rows, or group by a column with more values";
    }
    return "add rows, or raise data.split." + part;
}

}  // namespace

void check_split_column(const Settings& settings, const GivenFields& given, Diagnostics& diagnostics) {
    const auto& column = settings.job.data.split.column;
    if (!column) {
        return;
    }
    for (const std::string name : {"train", "validation", "test", "stratify", "folds", "repeats"}) {
        if (const auto found = given.find("data.split." + name); found != given.end()) {
            diagnostics.error(found->second.where,
                              fmt::format("data.split.{} and data.split.column contradict each other: "
                                          "column '{}' says which part a row belongs to; expected "
                                          "one of the two",
                                          name, *column));
        }
    }
}

void check_splits(const Dataset& dataset, const Settings& settings, const GivenFields& given,
                  const SourceSpan& elsewhere, Diagnostics& diagnostics) {
    const auto& split = settings.job.data.split;
    const auto place = [&](const std::vector<std::string>& fields) {
        for (const auto& field : fields) {
            if (const auto found = given.find("data.split." + field); found != given.end()) {
                return found->second.where;
            }
        }
        return elsewhere;
    };
    const auto splits = splits_of(settings, dataset.rows());
    SplitsWithout without;
    for (const auto& one : splits) {
        try {
            for (const auto& [part, classes] : absent_classes(dataset, split_rows(dataset, one))) {
                for (const auto& name : classes) {
                    ++without[part][name];
                }
            }
        } catch (const UserError& error) {
            diagnostics.error(place({"column", "group_by", "folds", "validation", "test"}), error.what());
            return;
        }
    }
    for (const auto& [part, splits_of_class] : without) {
        std::size_t most = 0;
        for (const auto& [name, count] : splits_of_class) {
            most = std::max(most, count);
        }
        const std::string message = fmt::format(
            "{} of {} classes {} no row in the {} part{}: {}; {}: {}", splits_of_class.size(),
            dataset.classes.size(), splits_of_class.size() == 1 ? "has" : "have", part,
            splits.size() == 1 ? "" : fmt::format(" of up to {} of {} splits", most, splits.size()),
            listed(splits_of_class, dataset), consequence(part), remedy(split, part));
        const auto where = place({"column", "group_by", part, "folds"});
        if (part == "train") {
            diagnostics.error(where, message);
        } else {
            diagnostics.warning(where, message);
        }
    }
}

}  // namespace orchestrate
