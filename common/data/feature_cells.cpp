#include "common/data/feature_cells.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_set>

#include <fmt/format.h>

#include "common/base/counted.h"
#include "common/data/cell_values.h"

namespace orchestrate {
namespace {

constexpr const char* kMissingSettings = "set data.missing to \"drop\", \"word\" or \"median\"";

std::string found_in_cell(std::string_view value) {
    constexpr std::size_t kShown = 40;
    if (trimmed_cell(value).empty()) {
        return "is empty";
    }
    std::size_t end = std::min(value.size(), kShown);
    while (end > 0 && end < value.size() && (static_cast<unsigned char>(value[end]) & 0xC0) == 0x80) {
        --end;
    }
    return "holds '" + std::string(value.substr(0, end)) + (end < value.size() ? "..." : "") + "'";
}

bool has_leading_zeros(std::string_view cell) {
    cell = trimmed_cell(cell);
    return cell.size() > 1 && cell[0] == '0' && cell[1] >= '0' && cell[1] <= '9';
}

// An integer with more digits than a double keeps.
bool loses_digits(std::string_view cell, double number) {
    constexpr double kMaxExact = 9007199254740992.0;  // 2^53
    return std::abs(number) > kMaxExact && cell.find_first_of(".eE") == std::string_view::npos;
}

}  // namespace

std::optional<double> FeatureCells::number_of(std::string_view cell) const {
    switch (decimal_) {
        case ',':
            return grouped_number(cell, ',');
        case '.':
            if (const auto plain = finite_number(cell)) {
                return plain;
            }
            return grouped_number(cell, '.');
        default:
            return finite_number(cell);
    }
}

void FeatureCells::add(std::string_view cell) {
    characters_ += cell;
    ends_.push_back(characters_.size());
    const auto number = number_of(cell);
    numbers_.push_back(number.value_or(std::numeric_limits<double>::quiet_NaN()));
    const State state = number                          ? State::number
                        : trimmed_cell(cell).empty()    ? State::empty
                        : truth_value(cell).has_value() ? State::truth
                        : is_missing_word(cell)         ? State::missing_word
                                                        : State::other;
    states_.push_back(state);
    ++counts_[static_cast<std::size_t>(state)];
    if (decimal_ != 0 && !decimal_matters_) {
        decimal_matters_ = number != finite_number(cell) || is_number_of_other_form(cell);
    }
}

bool FeatureCells::is_missing(std::size_t row) const {
    return states_[row] == State::empty || (states_[row] == State::missing_word && kind_ != ColumnKind::text);
}

void FeatureCells::decide_kind(const std::vector<std::int64_t>& line, const std::string& file,
                               bool refuse_missing, std::vector<DatasetProblem>& problems,
                               RowProblems& row_problems) {
    const auto report = [&](const std::string& what) {
        problems.push_back({DatasetProblem::Kind::bad_column,
                            "",
                            0,
                            "column '" + name_ + "' of " + file + " " + what,
                            {},
                            name_});
    };
    if (rows() == 0) {
        return;
    }
    if (count(State::empty) == rows()) {
        report("is empty in all " + counted(std::ssize(ends_), "row") +
               " that are used; leave it out of the features");
        return;
    }
    if (decimal_ == 0 && count(State::number) < values()) {
        if (const auto error = number_form_error(line)) {
            report(*error);
            return;
        }
    }
    if (2 * count(State::number) > values()) {
        kind_ = ColumnKind::numeric;
    } else if (count(State::truth) > 0 && count(State::truth) == values()) {
        kind_ = ColumnKind::boolean;
    }
    missing_ = count(State::empty) + (kind_ == ColumnKind::text ? 0 : count(State::missing_word));
    if (missing_ > 0 || (kind_ == ColumnKind::numeric && count(State::number) < values())) {
        report_cells(line, file, refuse_missing, row_problems);
    }
}

// If most values are numbers, but only when those in other forms are counted too.
std::optional<std::string> FeatureCells::number_form_error(const std::vector<std::int64_t>& line) const {
    std::size_t with_comma = 0;
    std::size_t with_point = 0;
    std::size_t other_forms = 0;
    std::size_t example = 0;
    for (std::size_t row = 0; row < rows(); ++row) {
        if (states_[row] != State::other) {
            continue;
        }
        const bool comma = grouped_number(value(row), ',').has_value();
        const bool point = grouped_number(value(row), '.').has_value();
        with_comma += comma ? 1 : 0;
        with_point += point ? 1 : 0;
        if ((comma || point) && other_forms++ == 0) {
            example = row;
        }
    }
    if (other_forms == 0 || 2 * (count(State::number) + other_forms) <= values()) {
        return std::nullopt;
    }
    const std::string found =
        "holds '" + std::string(trimmed_cell(value(example))) + "' (line " + std::to_string(line[example]) +
        ")" + (other_forms > 1 ? " and " + std::to_string(other_forms - 1) + " like it" : std::string());
    if (with_comma > with_point) {
        return found +
               ": numbers with a decimal comma? Set data.decimal = \",\" to read them as numbers, or "
               "data.decimal = \".\" if these are strings";
    }
    if (with_point > with_comma) {
        return found + ": numbers with grouped digits? Set data.decimal = \".\" to read them as numbers";
    }
    return found +
           ": another number with a decimal comma than with grouped digits; set data.decimal to \",\" or "
           "\".\"";
}

void FeatureCells::report_cells(const std::vector<std::int64_t>& line, const std::string& file,
                                bool refuse_missing, RowProblems& row_problems) const {
    const std::string expected = kind_ == ColumnKind::numeric   ? "a finite number"
                                 : kind_ == ColumnKind::boolean ? "a truth value"
                                                                : "a value";
    for (std::size_t row = 0; row < rows(); ++row) {
        const bool missing = is_missing(row);
        const bool bad =
            missing ? refuse_missing : kind_ == ColumnKind::numeric && states_[row] != State::number;
        if (!bad) {
            continue;
        }
        const bool has_other_mark =
            !missing && decimal_ != 0 && (finite_number(value(row)) || is_number_of_other_form(value(row)));
        const std::string remedy = missing ? std::string("or ") + kMissingSettings
                                   : has_other_mark
                                       ? std::string("remove the row, or set data.decimal = \"") +
                                             (decimal_ == ',' ? '.' : ',') + "\" (it is \"" + decimal_ + "\")"
                                       : "or remove the row";
        row_problems.add("column " + name_, [&] {
            return DatasetProblem{
                DatasetProblem::Kind::bad_row, std::string(value(row)), line[row],
                fmt::format("line {} of {}: column '{}' {}, expected {} as in the other rows; "
                            "correct it, {}",
                            line[row], file, name_, found_in_cell(value(row)), expected, remedy)};
        });
    }
}

ColumnSummary FeatureCells::summary() const {
    ColumnSummary summary{name_, kind_, static_cast<std::int64_t>(rows()),
                          static_cast<std::int64_t>(missing_), 0};
    std::unordered_set<std::string_view> texts;
    std::unordered_set<double> numbers;
    const auto distinct = [&] {
        return static_cast<std::int64_t>(kind_ == ColumnKind::numeric ? numbers.size() : texts.size());
    };
    for (std::size_t row = 0; row < rows() && distinct() <= ColumnSummary::kMaxDistinct; ++row) {
        if (is_missing(row)) {
            continue;
        }
        if (kind_ == ColumnKind::numeric) {
            numbers.insert(numbers_[row]);
        } else if (kind_ == ColumnKind::boolean) {
            texts.insert(*truth_value(value(row)) ? "yes" : "no");
        } else {
            texts.insert(value(row));
        }
    }
    summary.distinct = distinct();
    return summary;
}

// If most cells have one mark that data.decimal makes a separator of groups, and nothing proves that it is none.
std::optional<std::string> FeatureCells::warning_of_groups() const {
    if (decimal_ == 0) {
        return std::nullopt;
    }
    const char other = decimal_ == ',' ? '.' : ',';
    std::size_t doubtful = 0;
    std::size_t example = 0;
    for (std::size_t row = 0; row < rows(); ++row) {
        if (states_[row] != State::number) {
            continue;
        }
        const std::string_view cell = value(row);
        if (cell.find(decimal_) != std::string_view::npos ||
            std::count(cell.begin(), cell.end(), other) > 1) {
            return std::nullopt;
        }
        if (is_grouped_by_one_mark(cell, decimal_) && doubtful++ == 0) {
            example = row;
        }
    }
    if (2 * doubtful <= values()) {
        return std::nullopt;
    }
    std::string number(trimmed_cell(value(example)));
    std::erase(number, other);
    return "holds '" + std::string(trimmed_cell(value(example))) + "' and the like in " +
           counted(static_cast<std::int64_t>(doubtful), "row") + ": with data.decimal = \"" + decimal_ +
           "\" it is read as " + number + "; set data.decimal = \"" + other + "\" if '" + other +
           "' is the decimal mark";
}

std::vector<std::string> FeatureCells::warnings_of_numbers() const {
    std::vector<std::string> found;
    if (const auto groups = warning_of_groups()) {
        found.push_back(*groups);
    }
    std::size_t zeros = 0;
    std::size_t large = 0;
    std::size_t zero_row = 0;
    std::size_t large_row = 0;
    for (std::size_t row = 0; row < rows(); ++row) {
        if (states_[row] != State::number) {
            continue;
        }
        if (has_leading_zeros(value(row)) && zeros++ == 0) {
            zero_row = row;
        }
        if (loses_digits(value(row), numbers_[row]) && large++ == 0) {
            large_row = row;
        }
    }
    if (zeros > 0) {
        found.push_back("holds numbers with leading zeros in " +
                        counted(static_cast<std::int64_t>(zeros), "row") + " (such as '" +
                        std::string(trimmed_cell(value(zero_row))) +
                        "'): they are read as numbers, without these zeros");
    }
    if (large > 0) {
        found.push_back("holds integers of more than 15 digits in " +
                        counted(static_cast<std::int64_t>(large), "row") + " (such as '" +
                        std::string(trimmed_cell(value(large_row))) + "'): their last digits are lost");
    }
    return found;
}

std::vector<std::string> FeatureCells::warnings_of_texts(const ColumnSummary& summary) const {
    constexpr double kMixedShare = 0.2;
    constexpr std::int64_t kMinDistinct = 10;
    std::vector<std::string> found;
    if (const std::size_t words = count(State::missing_word); words > 0) {
        const auto row = static_cast<std::size_t>(
            std::find(states_.begin(), states_.end(), State::missing_word) - states_.begin());
        found.push_back(
            "holds '" + std::string(trimmed_cell(value(row))) + "' or the like in " +
            counted(static_cast<std::int64_t>(words), "row") +
            ": in a column of strings this is a value like any other; leave the cell empty if the value is "
            "missing");
    }
    std::size_t other_forms = 0;
    std::size_t unread_forms = 0;
    std::size_t units = 0;
    std::size_t form_row = 0;
    std::size_t unread_row = 0;
    std::size_t unit_row = 0;
    for (std::size_t row = 0; row < rows(); ++row) {
        if (states_[row] != State::other) {
            continue;
        }
        if (is_number_of_other_form(value(row)) || finite_number(value(row))) {
            form_row = other_forms++ == 0 ? row : form_row;
        } else if (is_number_of_unread_form(value(row))) {
            unread_row = unread_forms++ == 0 ? row : unread_row;
        } else if (is_number_with_unit(value(row))) {
            unit_row = units++ == 0 ? row : unit_row;
        }
    }
    const auto is_share = [&](std::size_t part, double share) {
        return part > 0 && static_cast<double>(part) >= share * static_cast<double>(values());
    };
    if (decimal_ != 0 && is_share(other_forms, kMixedShare)) {
        found.push_back("holds '" + std::string(trimmed_cell(value(form_row))) +
                        "', which is no number with " + "data.decimal = \"" + std::string(1, decimal_) +
                        "\": the column is read as strings");
    } else if (unread_forms > 0 && 2 * (unread_forms + count(State::number)) > values()) {
        found.push_back("holds numbers in a form that is not read (such as '" +
                        std::string(trimmed_cell(value(unread_row))) + "') in " +
                        counted(static_cast<std::int64_t>(unread_forms), "row") +
                        ": the column is read as strings; write them as 1234.5 to have numbers");
    } else if (is_share(count(State::number), kMixedShare)) {
        found.push_back("holds numbers in " +
                        counted(static_cast<std::int64_t>(count(State::number)), "row") +
                        " and other strings in " + std::to_string(values() - count(State::number)) +
                        ": the column is read as strings");
    } else if (is_share(units, 0.5) && summary.distinct >= kMinDistinct) {
        found.push_back("holds numbers with other characters (such as '" +
                        std::string(trimmed_cell(value(unit_row))) +
                        "'): the column is read as strings; leave units and signs out to have numbers");
    }
    return found;
}

std::vector<DatasetWarning> FeatureCells::warnings(const ColumnSummary& summary) const {
    std::vector<std::string> found;
    if (kind_ == ColumnKind::numeric) {
        found = warnings_of_numbers();
    } else if (kind_ == ColumnKind::text) {
        found = warnings_of_texts(summary);
    }
    if (summary.distinct == 1 && summary.missing == 0) {
        found.push_back("has the same value in all " + counted(std::ssize(ends_), "row") +
                        ", which tells the classes nothing apart");
    }
    std::vector<DatasetWarning> warnings;
    warnings.reserve(found.size());
    for (const auto& what : found) {
        warnings.push_back({name_, "column '" + name_ + "' " + what});
    }
    return warnings;
}

FeatureColumn FeatureCells::take() {
    FeatureColumn column{name_, kind_, {}, {}};
    if (missing_ > 0) {
        column.missing.resize(rows());
        for (std::size_t row = 0; row < rows(); ++row) {
            column.missing[row] = is_missing(row) ? 1 : 0;
        }
    }
    if (kind_ == ColumnKind::numeric) {
        column.numbers = std::move(numbers_);
    } else if (kind_ == ColumnKind::boolean) {
        for (std::size_t row = 0; row < rows(); ++row) {
            column.numbers.push_back(is_missing(row)            ? std::numeric_limits<double>::quiet_NaN()
                                     : *truth_value(value(row)) ? 1.0
                                                                : 0.0);
        }
    } else {
        column.texts.reserve(rows());
        for (std::size_t row = 0; row < rows(); ++row) {
            column.texts.emplace_back(is_missing(row) ? std::string_view() : value(row));
        }
    }
    return column;
}

}  // namespace orchestrate
