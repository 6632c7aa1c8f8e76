#include "common/dataset.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <unordered_map>

#include "common/cell_values.h"
#include "common/csv.h"
#include "common/nearest_name.h"
#include "common/row_sample.h"
#include "common/unicode.h"

namespace orchestrate {
namespace {

using Kind = DatasetProblem::Kind;

constexpr std::size_t kReportedRows = 10;
constexpr char kGroupSeparator = '\x1F';

std::string describe(const std::vector<DatasetProblem>& problems) {
    std::string text;
    for (const auto& problem : problems) {
        text += text.empty() ? "" : "\n";
        text += problem.message;
        if (const auto nearest = nearest_name(problem.found, problem.candidates)) {
            text += "; did you mean '" + *nearest + "'?";
        }
    }
    return text;
}

struct StringHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};

// The values of one column, one after another.
struct RawColumn {
    std::size_t index = 0;  // of the column in the file
    std::string characters;
    std::vector<std::size_t> ends;
    std::vector<double> numbers;  // not a number where the value is none
    std::size_t number_count = 0;
    std::size_t truth_count = 0;

    std::string_view value(std::size_t row) const {
        const std::size_t begin = row == 0 ? 0 : ends[row - 1];
        return std::string_view(characters).substr(begin, ends[row] - begin);
    }
};

std::string printable(std::string_view value) {
    constexpr std::size_t kShown = 40;
    if (value.empty()) {
        return "is empty";
    }
    return "holds '" + std::string(value.substr(0, kShown)) + (value.size() > kShown ? "..." : "") + "'";
}

// One reading of one file.
class Reading {
  public:
    Reading(const std::filesystem::path& path, const DataConfig& config,
            const std::vector<std::string>& features)
        : path_(path), config_(config), features_(features) {}

    Dataset run();

  private:
    struct Group {
        std::size_t index = 0;
        std::string first_of;
    };

    void find_columns(const std::vector<std::string>& header);
    std::optional<std::size_t> find_column(const std::vector<std::string>& header, const std::string& name);
    void read_row(const CsvReader& reader);
    bool check_utf8(const CsvReader& reader);
    std::string group_key(const std::vector<std::string_view>& fields) const;
    std::optional<std::int32_t> label_id(std::string_view label);
    void check_classes();
    void sort_classes();
    void fill_features();
    void take_sample();
    void add(Kind kind, std::string found, std::int64_t line, std::string message,
             std::vector<std::string> candidates = {});
    void add_bad_row(std::string_view found, std::int64_t line, const std::string& message);
    std::string in_file() const { return std::string("'") + path_.string() + "'"; }
    std::string at_line(std::int64_t line) const {
        return "line " + std::to_string(line) + " of " + in_file();
    }

    const std::filesystem::path& path_;
    const DataConfig& config_;
    const std::vector<std::string>& features_;
    std::vector<DatasetProblem> problems_;
    std::size_t bad_rows_ = 0;

    std::optional<std::size_t> label_column_;
    std::vector<RawColumn> columns_;
    std::vector<Group> group_columns_;
    std::vector<std::size_t> used_columns_;
    std::unordered_map<std::string, std::int32_t, StringHash, std::equal_to<>> classes_;  // to their index
    std::map<std::string, std::int64_t, std::less<>>
        other_labels_;  // not among the configured, with their counts
    Dataset dataset_;
};

void Reading::add(Kind kind, std::string found, std::int64_t line, std::string message,
                  std::vector<std::string> candidates) {
    problems_.push_back({kind, std::move(found), line, std::move(message), std::move(candidates)});
}

void Reading::add_bad_row(std::string_view found, std::int64_t line, const std::string& message) {
    if (++bad_rows_ <= kReportedRows) {
        add(Kind::bad_row, std::string(found), line, message);
    }
}

std::optional<std::size_t> Reading::find_column(const std::vector<std::string>& header,
                                                const std::string& name) {
    const auto found = std::find(header.begin(), header.end(), name);
    if (found == header.end()) {
        add(Kind::unknown_column, name, 0, "column '" + name + "' does not exist in " + in_file(), header);
        return std::nullopt;
    }
    if (std::find(found + 1, header.end(), name) != header.end()) {
        add(Kind::unknown_column, name, 1,
            "column '" + name + "' stands twice in the header of " + in_file() +
                "; give each column its own name");
    }
    const auto index = static_cast<std::size_t>(found - header.begin());
    used_columns_.push_back(index);
    return index;
}

void Reading::find_columns(const std::vector<std::string>& header) {
    label_column_ = find_column(header, config_.label);
    for (const auto& name : features_) {
        if (const auto index = find_column(header, name)) {
            columns_.emplace_back().index = *index;
        }
    }
    for (const auto& group : config_.split.group_by) {
        if (const auto index = find_column(header, group.column)) {
            group_columns_.push_back({*index, group.first_of});
        }
    }
    std::sort(used_columns_.begin(), used_columns_.end());
    used_columns_.erase(std::unique(used_columns_.begin(), used_columns_.end()), used_columns_.end());
}

// Nothing for a class that is not used.
std::optional<std::int32_t> Reading::label_id(std::string_view label) {
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

bool Reading::check_utf8(const CsvReader& reader) {
    for (const std::size_t index : used_columns_) {
        if (!is_valid_utf8(reader.fields()[index])) {
            add_bad_row(
                "", reader.line(),
                at_line(reader.line()) + ": column '" + reader.header()[index] +
                    "' is not valid UTF-8; convert the file, e.g. with: iconv -f ISO-8859-1 -t UTF-8");
            return false;
        }
    }
    return true;
}

std::string Reading::group_key(const std::vector<std::string_view>& fields) const {
    std::string key;
    for (const auto& group : group_columns_) {
        std::string_view value = fields[group.index];
        if (!group.first_of.empty()) {
            value = value.substr(0, value.find(group.first_of));
        }
        if (&group != &group_columns_.front()) {
            key += kGroupSeparator;
        }
        key += trimmed_lower_case(value);
    }
    return key;
}

void Reading::read_row(const CsvReader& reader) {
    const auto& fields = reader.fields();
    const std::string_view label = fields[*label_column_];
    if (config_.classes.empty() && label.empty()) {
        add_bad_row("", reader.line(),
                    at_line(reader.line()) + ": the label column '" + config_.label +
                        "' is empty; write the class, or name the classes to be used");
        return;
    }
    const auto id = label_id(label);
    if (!id || !check_utf8(reader)) {
        return;
    }
    dataset_.label.push_back(*id);
    dataset_.line.push_back(reader.line());
    for (auto& column : columns_) {
        const std::string_view value = fields[column.index];
        column.characters += value;
        column.ends.push_back(column.characters.size());
        const auto number = finite_number(value);
        column.numbers.push_back(number.value_or(std::nan("")));
        column.number_count += number ? 1 : 0;
        column.truth_count += !number && truth_value(value) ? 1 : 0;
    }
    if (!group_columns_.empty()) {
        dataset_.group.push_back(group_key(fields));
    }
}

// Every configured class must occur; a study needs two, and more rows than classes.
void Reading::check_classes() {
    std::vector<std::int64_t> counts(classes_.size(), 0);
    for (const auto id : dataset_.label) {
        ++counts[static_cast<std::size_t>(id)];
    }
    std::vector<std::string> occurring;
    for (const auto& [name, count] : other_labels_) {
        occurring.push_back(name);
    }
    for (const auto& [name, id] : classes_) {
        if (counts[static_cast<std::size_t>(id)] > 0) {
            occurring.push_back(name);
        }
    }
    std::sort(occurring.begin(), occurring.end());
    bool all_known = true;
    for (const auto& name : config_.classes) {
        if (counts[static_cast<std::size_t>(classes_.at(name))] == 0) {
            all_known = false;
            add(Kind::unknown_class, name, 0,
                "class '" + name + "' does not occur in column '" + config_.label + "' of " + in_file(),
                occurring);
        }
    }
    if (!all_known) {
        return;
    }
    if (classes_.size() < 2) {
        add(Kind::too_few_rows, occurring.empty() ? "" : occurring.front(), 0,
            in_file() + " has rows of " + std::to_string(classes_.size()) + " class in column '" +
                config_.label + "', expected at least 2");
        return;
    }
    const auto wanted = config_.max_rows > 0 ? static_cast<std::size_t>(config_.max_rows) : dataset_.rows();
    const std::size_t used = std::min(wanted, dataset_.rows());
    if (used < classes_.size()) {
        add(Kind::too_few_rows, std::to_string(used), 0,
            std::to_string(used) + " rows of " + in_file() + " would be used for " +
                std::to_string(classes_.size()) +
                " classes, expected at least one row per class; raise data.max_rows, add rows or name fewer "
                "classes");
    }
}

// Order of UTF-8 bytes, which is the order of code points.
void Reading::sort_classes() {
    dataset_.classes.clear();
    for (const auto& [name, id] : classes_) {
        dataset_.classes.push_back(name);
    }
    std::sort(dataset_.classes.begin(), dataset_.classes.end());
    std::vector<std::int32_t> new_id(classes_.size());
    for (std::size_t i = 0; i < dataset_.classes.size(); ++i) {
        new_id[static_cast<std::size_t>(classes_.at(dataset_.classes[i]))] = static_cast<std::int32_t>(i);
    }
    for (auto& id : dataset_.label) {
        id = new_id[static_cast<std::size_t>(id)];
    }
}

void Reading::fill_features() {
    const std::size_t rows = dataset_.rows();
    for (std::size_t i = 0; i < columns_.size(); ++i) {
        RawColumn& raw = columns_[i];
        FeatureColumn column{features_[i], ColumnKind::text, {}, {}};
        if (2 * raw.number_count > rows) {
            column.kind = ColumnKind::numeric;
            for (std::size_t row = 0; raw.number_count < rows && row < rows; ++row) {
                if (std::isnan(raw.numbers[row])) {
                    add_bad_row(
                        raw.value(row), dataset_.line[row],
                        at_line(dataset_.line[row]) + ": column '" + column.name + "' " +
                            printable(raw.value(row)) +
                            ", expected a finite number as in the other rows; correct it or remove the row");
                }
            }
            column.numbers = std::move(raw.numbers);
        } else if (raw.truth_count == rows) {
            column.kind = ColumnKind::boolean;
            for (std::size_t row = 0; row < rows; ++row) {
                column.numbers.push_back(*truth_value(raw.value(row)) ? 1.0 : 0.0);
            }
        } else {
            column.texts.reserve(rows);
            for (std::size_t row = 0; row < rows; ++row) {
                column.texts.emplace_back(raw.value(row));
            }
        }
        raw = {};
        dataset_.features.push_back(std::move(column));
    }
}

template <class T>
void keep(std::vector<T>& values, const std::vector<std::size_t>& rows) {
    if (values.empty()) {
        return;
    }
    std::vector<T> kept;
    kept.reserve(rows.size());
    for (const std::size_t row : rows) {
        kept.push_back(std::move(values[row]));
    }
    values = std::move(kept);
}

void Reading::take_sample() {
    const auto wanted = static_cast<std::size_t>(config_.max_rows);
    if (config_.max_rows <= 0 || wanted >= dataset_.rows()) {
        return;
    }
    const auto rows = sample_rows(dataset_.label, dataset_.line, wanted, config_.split.seed);
    keep(dataset_.label, rows);
    keep(dataset_.line, rows);
    keep(dataset_.group, rows);
    for (auto& feature : dataset_.features) {
        keep(feature.numbers, rows);
        keep(feature.texts, rows);
    }
}

Dataset Reading::run() {
    try {
        CsvReader reader(path_);
        find_columns(reader.header());
        for (const auto& name : config_.classes) {
            classes_.emplace(name, static_cast<std::int32_t>(classes_.size()));
        }
        bool more = true;
        while (more) {
            try {
                more = reader.next();
                if (more && label_column_) {
                    read_row(reader);
                }
            } catch (const CsvError& error) {
                if (error.line() == 0) {
                    throw;
                }
                add_bad_row("", error.line(), error.what());
            }
        }
        dataset_.sha256 = reader.content_sha256();
    } catch (const CsvError& error) {
        add(Kind::unreadable_file, path_.string(), error.line(), error.what());
        throw DatasetError(problems_);
    }
    if (label_column_) {
        check_classes();
        sort_classes();
    }
    if (columns_.size() == features_.size()) {
        fill_features();
    }
    if (bad_rows_ > kReportedRows) {
        problems_.back().message += "; " + std::to_string(bad_rows_ - kReportedRows) + " more such rows";
    }
    if (!problems_.empty()) {
        throw DatasetError(problems_);
    }
    take_sample();
    return std::move(dataset_);
}

}  // namespace

DatasetError::DatasetError(std::vector<DatasetProblem> problems)
    : UserError(describe(problems)), problems_(std::move(problems)) {}

std::vector<std::string> read_column_names(const std::filesystem::path& path) {
    try {
        return CsvReader(path).header();
    } catch (const CsvError& error) {
        throw DatasetError({{Kind::unreadable_file, path.string(), error.line(), error.what(), {}}});
    }
}

Dataset read_dataset(const std::filesystem::path& path, const DataConfig& config,
                     const std::vector<std::string>& features) {
    return Reading(path, config, features).run();
}

}  // namespace orchestrate
