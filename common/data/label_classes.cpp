#include "common/data/label_classes.h"

#include <algorithm>

#include "common/base/unicode.h"
#include "common/data/cell_values.h"

namespace orchestrate {
namespace {

using Kind = DatasetProblem::Kind;

// What labels have in common that are meant to be the same: case and white space left aside.
std::string folded(std::string_view label) {
    if (!is_valid_utf8(label)) {
        return std::string(label);
    }
    std::string result;
    for (const char c : trimmed_lower_case(label)) {
        const bool is_space = c == ' ' || c == '\t' || c == '\n' || c == '\r';
        if (!is_space) {
            result += c;
        } else if (!result.ends_with(' ')) {
            result += ' ';
        }
    }
    return result;
}

std::string rows_text(std::int64_t rows) {
    return std::to_string(rows) + (rows == 1 ? " row" : " rows");
}

}  // namespace

LabelClasses::LabelClasses(const DataConfig& config, std::string file)
    : config_(config), file_(std::move(file)) {
    for (const auto& name : config.classes) {
        classes_.emplace(name, static_cast<std::int32_t>(classes_.size()));
    }
}

std::optional<std::int32_t> LabelClasses::id_of(std::string_view label) {
    if (const auto found = classes_.find(label); found != classes_.end()) {
        return found->second;
    }
    if (config_.classes.empty()) {
        const auto id = static_cast<std::int32_t>(classes_.size());
        classes_.emplace(label, id);
        return id;
    }
    if (const auto other = other_labels_.find(label); other != other_labels_.end()) {
        ++other->second;
    } else {
        other_labels_.emplace(label, 1);
    }
    return std::nullopt;
}

std::vector<std::int64_t> LabelClasses::rows_of_classes(const std::vector<std::int32_t>& label) const {
    std::vector<std::int64_t> rows(classes_.size(), 0);
    for (const auto id : label) {
        ++rows[static_cast<std::size_t>(id)];
    }
    return rows;
}

std::vector<DatasetProblem> LabelClasses::problems(const std::vector<std::int32_t>& label,
                                                   bool has_all_rows) const {
    const auto rows = rows_of_classes(label);
    std::vector<std::string> occurring;
    for (const auto& [name, count] : other_labels_) {
        occurring.push_back(name);
    }
    for (const auto& [name, id] : classes_) {
        if (rows[static_cast<std::size_t>(id)] > 0) {
            occurring.push_back(name);
        }
    }
    std::sort(occurring.begin(), occurring.end());
    std::vector<DatasetProblem> problems;
    for (const auto& name : config_.classes) {
        if (rows[static_cast<std::size_t>(classes_.at(name))] == 0) {
            problems.push_back(
                {Kind::unknown_class, name, 0,
                 "class '" + name + "' does not occur in column '" + config_.label + "' of " + file_,
                 occurring});
        }
    }
    if (problems.empty() && has_all_rows) {
        check_number_of_rows(static_cast<std::int64_t>(label.size()), problems);
    }
    return problems;
}

// A study needs two classes, and as many rows as classes.
void LabelClasses::check_number_of_rows(std::int64_t rows, std::vector<DatasetProblem>& problems) const {
    if (classes_.size() < 2) {
        const std::string found =
            classes_.empty() ? "no class" : "one class ('" + classes_.begin()->first + "')";
        problems.push_back(
            {Kind::too_few_rows, "", 0,
             file_ + " has rows of " + found + " in column '" + config_.label + "', expected at least 2"});
        return;
    }
    const std::int64_t used = config_.max_rows > 0 ? std::min(config_.max_rows, rows) : rows;
    if (used < static_cast<std::int64_t>(classes_.size())) {
        problems.push_back(
            {Kind::too_few_rows, std::to_string(used), 0,
             std::to_string(used) + " rows of " + file_ + " would be used for " +
                 std::to_string(classes_.size()) +
                 " classes, expected at least one row per class; raise data.max_rows, add rows or name fewer "
                 "classes"});
    }
}

std::vector<std::string> LabelClasses::lost(const std::vector<std::int32_t>& before,
                                            const std::vector<std::int32_t>& after) const {
    const auto rows_before = rows_of_classes(before);
    const auto rows_after = rows_of_classes(after);
    std::vector<std::string> names;
    for (const auto& [name, id] : classes_) {
        const auto at = static_cast<std::size_t>(id);
        if (rows_before[at] > 0 && rows_after[at] == 0) {
            names.push_back(name);
        }
    }
    std::sort(names.begin(), names.end());
    return names;
}

std::vector<DatasetWarning> LabelClasses::warnings(const std::vector<std::int32_t>& label) const {
    constexpr std::size_t kMaxShown = 5;
    constexpr std::size_t kManyNumbers = 20;
    const auto rows = rows_of_classes(label);
    struct Name {
        std::string text;
        std::int64_t rows = 0;
        bool is_used = false;
    };
    std::map<std::string, std::vector<Name>> by_folded;
    std::vector<std::string> words;
    std::size_t numbers = 0;
    for (const auto& [name, id] : classes_) {
        by_folded[folded(name)].push_back({name, rows[static_cast<std::size_t>(id)], true});
        numbers += finite_number(name) ? 1 : 0;
        if (is_missing_word(name) && config_.classes.empty()) {
            words.push_back("'" + name + "' (" + rows_text(rows[static_cast<std::size_t>(id)]) + ")");
        }
    }
    for (const auto& [name, count] : other_labels_) {
        by_folded[folded(name)].push_back({name, count, false});
    }
    std::vector<DatasetWarning> found;
    const auto warn = [&](const std::string& what) { found.push_back({config_.label, what}); };
    std::size_t similar = 0;
    for (auto& [key, names] : by_folded) {
        const bool has_used =
            std::any_of(names.begin(), names.end(), [](const Name& name) { return name.is_used; });
        if (names.size() < 2 || !has_used || ++similar > kMaxShown) {
            continue;
        }
        std::sort(names.begin(), names.end(), [](const Name& a, const Name& b) { return a.text < b.text; });
        std::string list;
        bool all_used = true;
        for (const auto& name : names) {
            list += (list.empty() ? "" : ", ") + std::string("'") + name.text + "' (" + rows_text(name.rows) +
                    (name.is_used ? ")" : ", not used)");
            all_used = all_used && name.is_used;
        }
        warn("labels that differ only in case or white space: " + list +
             (all_used ? "; they are different classes here"
                       : "; only the named ones are used (data.classes)"));
    }
    if (similar > kMaxShown) {
        warn("column '" + config_.label + "' has " + std::to_string(similar - kMaxShown) +
             " more groups of labels that differ only in case or white space");
    }
    if (!words.empty()) {
        std::sort(words.begin(), words.end());
        std::string list;
        for (const auto& word : words) {
            list += (list.empty() ? "" : ", ") + word;
        }
        warn("column '" + config_.label + "' holds " + list +
             ", a word for a missing value: it is a class like any other here; leave the label empty and set "
             "data.missing to \"drop\", or name the classes to be used (data.classes)");
    }
    if (numbers == classes_.size() && numbers > kManyNumbers) {
        warn("column '" + config_.label + "' holds " + std::to_string(numbers) +
             " different numbers, each of which is a class of its own; expected a column of classes, not of "
             "quantities");
    } else if (classes_.size() > kManyNumbers && 2 * classes_.size() > label.size()) {
        warn("column '" + config_.label + "' has " + std::to_string(classes_.size()) +
             " different classes in " + rows_text(static_cast<std::int64_t>(label.size())) +
             "; expected a column whose values repeat");
    }
    return found;
}

std::vector<std::string> LabelClasses::sort(std::vector<std::int32_t>& label) const {
    std::vector<std::string> names;
    for (const auto& [name, id] : classes_) {
        names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    std::vector<std::int32_t> new_id(classes_.size());
    for (std::size_t i = 0; i < names.size(); ++i) {
        new_id[static_cast<std::size_t>(classes_.at(names[i]))] = static_cast<std::int32_t>(i);
    }
    for (auto& id : label) {
        id = new_id[static_cast<std::size_t>(id)];
    }
    return names;
}

}  // namespace orchestrate
