#include "common/data/dataset.h"

#include <algorithm>
#include <optional>

#include "common/base/unicode.h"
#include "common/data/cell_values.h"
#include "common/data/csv.h"
#include "common/data/feature_cells.h"
#include "common/data/label_classes.h"
#include "common/data/row_problems.h"
#include "common/data/row_sample.h"

namespace orchestrate {
namespace {

using Kind = DatasetProblem::Kind;

constexpr char kGroupSeparator = '\x1F';

char first_of(const std::optional<std::string>& text) {
    return text && !text->empty() ? text->front() : '\0';
}

// Features and, of MissingValues::drop, the further columns that have to be complete.
std::vector<std::string> columns_read(const DataConfig& config, const std::vector<std::string>& features) {
    std::vector<std::string> names = features;
    if (config.missing == MissingValues::drop && config.complete_columns) {
        for (const auto& name : *config.complete_columns) {
            if (std::find(names.begin(), names.end(), name) == names.end()) {
                names.push_back(name);
            }
        }
    }
    return names;
}

std::string delimiter_name(char delimiter) {
    return delimiter == '\t' ? "tab" : "'" + std::string(1, delimiter) + "'";
}

std::string delimiter_warning(const CsvReader& reader) {
    std::string others;
    for (const char other : reader.other_delimiters()) {
        others += (others.empty() ? "" : ", ") + delimiter_name(other);
    }
    return "the fields were taken to be separated by " + delimiter_name(reader.delimiter()) +
           ", but the header also has " + others + "; data.delimiter settles it";
}

// One reading of one file.
class Reading {
  public:
    Reading(const std::filesystem::path& path, const DataConfig& config,
            const std::vector<std::string>& features, DatasetReport* report)
        : path_(path), config_(config), features_(features), report_(report), classes_(config, in_file()) {}

    Dataset run();

  private:
    struct Group {
        std::size_t index = 0;
        std::string first_of;
        std::string column;
        std::int64_t empty_rows = 0;
    };

    void read_rows(CsvReader& reader);
    void find_columns(const std::vector<std::string>& header);
    std::optional<std::size_t> find_column(const std::vector<std::string>& header, const std::string& name);
    void read_row(const CsvReader& reader);
    bool is_used(const CsvReader& reader, std::optional<std::int32_t>& id);
    bool check_utf8(const CsvReader& reader);
    std::optional<DataPart> part_of(const CsvReader& reader);
    std::string group_key(const std::vector<std::string_view>& fields) const;
    void resolve_features();
    std::vector<std::size_t> complete_rows() const;
    void drop_rows_except(const std::vector<std::size_t>& rows);
    void fill_report(const CsvReader& reader);
    void take_features();
    void keep_rows(const std::vector<std::size_t>& rows);
    void take_sample();
    void add(Kind kind, std::string found, std::int64_t line, std::string message,
             std::vector<std::string> candidates = {});
    bool drops() const { return config_.missing == MissingValues::drop; }
    std::string in_file() const { return std::string("'") + path_.string() + "'"; }
    std::string at_line(std::int64_t line) const {
        return "line " + std::to_string(line) + " of " + in_file();
    }

    const std::filesystem::path& path_;
    const DataConfig& config_;
    const std::vector<std::string>& features_;
    DatasetReport* report_;
    std::vector<DatasetProblem> problems_;
    RowProblems row_problems_;

    std::optional<std::size_t> label_column_;
    std::optional<std::size_t> part_column_;
    std::vector<FeatureCells> columns_;  // the features, then further ones that have to be complete
    std::vector<Group> group_columns_;
    std::vector<std::size_t> used_columns_;
    LabelClasses classes_;
    std::int64_t dropped_rows_ = 0;
    Dataset dataset_;
};

void Reading::add(Kind kind, std::string found, std::int64_t line, std::string message,
                  std::vector<std::string> candidates) {
    problems_.push_back({kind, std::move(found), line, std::move(message), std::move(candidates)});
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
            "column '" + name + "' appears twice in the header of " + in_file() +
                "; give each column its own name");
    }
    const auto index = static_cast<std::size_t>(found - header.begin());
    used_columns_.push_back(index);
    return index;
}

void Reading::find_columns(const std::vector<std::string>& header) {
    label_column_ = find_column(header, config_.label);
    const char decimal = first_of(config_.decimal);
    for (const auto& name : columns_read(config_, features_)) {
        if (const auto index = find_column(header, name)) {
            columns_.emplace_back(name, *index, decimal);
        }
    }
    for (const auto& group : config_.split.group_by) {
        if (const auto index = find_column(header, group.column)) {
            group_columns_.push_back({*index, group.first_of, group.column});
        }
    }
    if (config_.split.column) {
        part_column_ = find_column(header, *config_.split.column);
    }
    std::sort(used_columns_.begin(), used_columns_.end());
    used_columns_.erase(std::unique(used_columns_.begin(), used_columns_.end()), used_columns_.end());
}

bool Reading::check_utf8(const CsvReader& reader) {
    for (const std::size_t index : used_columns_) {
        if (!is_valid_utf8(reader.fields()[index])) {
            row_problems_.add("utf8", [&] {
                return DatasetProblem{
                    Kind::bad_row, "", reader.line(),
                    at_line(reader.line()) + ": column '" + reader.header()[index] +
                        "' is not valid UTF-8; convert the file, e.g. with: iconv -f ISO-8859-1 -t UTF-8"};
            });
            return false;
        }
    }
    return true;
}

// Nothing, reported, if the row does not name its part.
std::optional<DataPart> Reading::part_of(const CsvReader& reader) {
    const std::string found = trimmed_lower_case(reader.fields()[*part_column_]);
    const auto part = enum_from_name<DataPart>(found);
    if (!part) {
        row_problems_.add("part", [&] {
            const std::string what = found.empty() ? "is empty" : "holds '" + found + "'";
            return DatasetProblem{Kind::bad_row, found, reader.line(),
                                  at_line(reader.line()) + ": column '" + *config_.split.column + "' " +
                                      what + ", expected train, validation or test (data.split.column)",
                                  enum_names<DataPart>()};
        });
    }
    return part;
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

// The label's index and whether the row is used; one that cannot be is reported.
bool Reading::is_used(const CsvReader& reader, std::optional<std::int32_t>& id) {
    const std::string_view label = reader.fields()[*label_column_];
    if (config_.classes.empty() && trimmed_cell(label).empty()) {
        if (drops()) {
            ++dropped_rows_;
            return false;
        }
        row_problems_.add("label", [&] {
            return DatasetProblem{
                Kind::bad_row, "", reader.line(),
                at_line(reader.line()) + ": the label column '" + config_.label +
                    "' is empty; write the class, name the classes to be used (data.classes), or "
                    "set data.missing to \"drop\""};
        });
        return false;
    }
    id = classes_.id_of(label);
    return id && check_utf8(reader);
}

void Reading::read_row(const CsvReader& reader) {
    std::optional<std::int32_t> id;
    if (!is_used(reader, id)) {
        return;
    }
    if (part_column_) {
        const auto part = part_of(reader);
        if (!part) {
            return;
        }
        dataset_.part.push_back(*part);
    }
    const auto& fields = reader.fields();
    dataset_.label.push_back(*id);
    dataset_.line.push_back(reader.line());
    for (auto& column : columns_) {
        column.add(fields[column.index()]);
    }
    for (auto& group : group_columns_) {
        group.empty_rows += trimmed_cell(fields[group.index]).empty() ? 1 : 0;
    }
    if (!group_columns_.empty()) {
        dataset_.group.push_back(group_key(fields));
    }
}

void Reading::resolve_features() {
    const bool refuse = config_.missing.value_or(MissingValues::refuse) == MissingValues::refuse;
    for (auto& column : columns_) {
        column.decide_kind(dataset_.line, in_file(), refuse, problems_, row_problems_);
    }
}

// By MissingValues::drop: the rows that have a value in all columns that have to be complete.
std::vector<std::size_t> Reading::complete_rows() const {
    std::vector<const FeatureCells*> complete;
    for (const auto& column : columns_) {
        const auto& named = config_.complete_columns;
        const bool is_named =
            !named || std::find(named->begin(), named->end(), column.name()) != named->end();
        if (is_named && column.missing_count() > 0) {
            complete.push_back(&column);
        }
    }
    std::vector<std::size_t> rows;
    for (std::size_t row = 0; row < dataset_.rows(); ++row) {
        if (std::none_of(complete.begin(), complete.end(),
                         [&](const FeatureCells* column) { return column->is_missing(row); })) {
            rows.push_back(row);
        }
    }
    return rows;
}

void Reading::drop_rows_except(const std::vector<std::size_t>& rows) {
    if (rows.size() == dataset_.rows()) {
        return;
    }
    const auto before = dataset_.label;
    keep_rows(rows);
    for (const auto& name : classes_.lost(before, dataset_.label)) {
        problems_.push_back(
            {Kind::too_few_rows, "", 0,
             "data.missing = \"drop\" leaves no row of class '" + name + "' of " + in_file() +
                 ": a cell is missing in each of them; leave features out, or set data.missing to "
                 "\"word\" or \"median\""});
    }
}

// Before rows are left out and classes are sorted.
void Reading::fill_report(const CsvReader& reader) {
    if (report_ == nullptr) {
        return;
    }
    *report_ = {};
    report_->delimiter_matters = reader.delimiter() != reader.detected_delimiter();
    if (!reader.other_delimiters().empty()) {
        report_->warnings.push_back({"", delimiter_warning(reader)});
    }
    for (std::size_t i = 0; i < features_.size(); ++i) {
        const auto summary = columns_[i].summary();
        const auto warnings = columns_[i].warnings(summary);
        report_->warnings.insert(report_->warnings.end(), warnings.begin(), warnings.end());
        report_->columns.push_back(summary);
        report_->decimal_matters = report_->decimal_matters || columns_[i].decimal_matters();
    }
    for (const auto& group : group_columns_) {
        if (group.empty_rows > 1) {
            report_->warnings.push_back({group.column, "grouping column '" + group.column + "' is empty in " +
                                                           std::to_string(group.empty_rows) +
                                                           " rows, which count as equal in it"});
        }
    }
    const auto of_labels = classes_.warnings(dataset_.label);
    report_->warnings.insert(report_->warnings.end(), of_labels.begin(), of_labels.end());
}

void Reading::take_features() {
    for (std::size_t i = 0; i < features_.size(); ++i) {
        dataset_.features.push_back(columns_[i].take());
    }
    columns_.clear();
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

void Reading::keep_rows(const std::vector<std::size_t>& rows) {
    keep(dataset_.label, rows);
    keep(dataset_.line, rows);
    keep(dataset_.group, rows);
    keep(dataset_.part, rows);
    for (auto& feature : dataset_.features) {
        keep(feature.numbers, rows);
        keep(feature.texts, rows);
        keep(feature.missing, rows);
        if (std::find(feature.missing.begin(), feature.missing.end(), 1) == feature.missing.end()) {
            feature.missing.clear();
        }
    }
}

void Reading::take_sample() {
    const auto wanted = static_cast<std::size_t>(config_.max_rows);
    if (config_.max_rows > 0 && wanted < dataset_.rows()) {
        keep_rows(sample_rows(dataset_.label, dataset_.line, wanted, config_.split.seed));
    }
}

void Reading::read_rows(CsvReader& reader) {
    for (bool more = true; more;) {
        try {
            more = reader.next();
            if (more && label_column_) {
                read_row(reader);
            }
        } catch (const CsvError& error) {
            if (error.line() == 0) {
                throw;
            }
            row_problems_.add("record", [&] {
                return DatasetProblem{Kind::bad_row, "", error.line(), error.what()};
            });
        }
    }
}

Dataset Reading::run() {
    std::optional<CsvReader> reader;
    try {
        reader.emplace(path_, first_of(config_.delimiter));
        find_columns(reader->header());
        read_rows(*reader);
        dataset_.sha256 = reader->content_sha256();
    } catch (const CsvError& error) {
        add(Kind::unreadable_file, path_.string(), error.line(), error.what());
        throw DatasetError(problems_);
    }
    if (label_column_) {
        resolve_features();
        const bool is_sound = problems_.empty() && row_problems_.count() == 0;
        if (is_sound) {
            const auto rows = drops() ? complete_rows() : std::vector<std::size_t>();
            fill_report(*reader);
            take_features();
            if (drops()) {
                dropped_rows_ += static_cast<std::int64_t>(dataset_.rows() - rows.size());
                drop_rows_except(rows);
            }
            if (report_ != nullptr) {
                report_->dropped_rows = dropped_rows_;
            }
        }
        // Rows with errors may be those that are needed.
        const auto of_classes = classes_.problems(dataset_.label, is_sound && problems_.empty());
        problems_.insert(problems_.end(), of_classes.begin(), of_classes.end());
        dataset_.classes = classes_.sort(dataset_.label);
    }
    const auto of_rows = row_problems_.reported();
    problems_.insert(problems_.end(), of_rows.begin(), of_rows.end());
    if (!problems_.empty()) {
        throw DatasetError(problems_);
    }
    take_sample();
    return std::move(dataset_);
}

}  // namespace

Dataset read_dataset(const std::filesystem::path& path, const DataConfig& config,
                     const std::vector<std::string>& features, DatasetReport* report) {
    return Reading(path, config, features, report).run();
}

}  // namespace orchestrate
