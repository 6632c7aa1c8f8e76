#include "experiments/checks/data_checks.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "common/base/error.h"
#include "common/base/named_file.h"
#include "common/base/nearest_name.h"
#include "experiments/checks/split_checks.h"

namespace orchestrate {
namespace {

bool contains(const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

// Where a list or a single text of the study holds `text`; else the whole value.
SourceSpan place_of(const Value& value, const std::string& text) {
    if (const auto* list = value.as_list()) {
        for (const auto& item : *list) {
            if (item.as_text() && *item.as_text() == text) {
                return item.where;
            }
            if (const auto* table = item.as_table()) {
                const auto* column = table->find("column");
                if (column && column->value.as_text() && *column->value.as_text() == text) {
                    return column->value.where;
                }
            }
        }
    }
    return value.where;
}

class DataCheck {
  public:
    DataCheck(Settings& settings, const GivenFields& given, const std::vector<ColumnMention>& features,
              const SourceSpan& data_section, Diagnostics& diagnostics)
        : settings_(settings),
          given_(given),
          features_(features),
          data_section_(data_section),
          diagnostics_(diagnostics) {}

    DataFacts run() {
        if (!file_is_there()) {
            return {};
        }
        try {
            const auto& delimiter = settings_.job.data.delimiter;
            columns_ = read_column_names(settings_.paths.data, delimiter ? delimiter->front() : '\0');
            const auto known_features = check_features();
            const auto config = known_part_of_config(known_features);
            if (config.label.empty()) {
                return {};
            }
            DatasetReport report;
            const auto dataset = read_dataset(settings_.paths.data, config, known_features, &report);
            for (const auto& warning : report.warnings) {
                diagnostics_.warning(place_of_column(warning.column), warning.message);
            }
            if (diagnostics_.errors() == 0) {
                check_splits(dataset, settings_, given_, place("data.path"), diagnostics_);
            }
            unset_fields_without_effect(report);
            return {dataset.sha256, static_cast<std::int64_t>(dataset.rows()),
                    static_cast<std::int64_t>(dataset.classes.size()), report.columns, report.dropped_rows};
        } catch (const DatasetError& error) {
            for (const auto& problem : error.problems()) {
                report(problem);
            }
        } catch (const UserError& error) {
            diagnostics_.error(place("data.path"), error.what());
        }
        return {};
    }

  private:
    SourceSpan place(const std::string& field) const {
        const auto found = given_.find(field);
        return found == given_.end() ? data_section_ : found->second.where;
    }

    SourceSpan place(const std::string& field, const std::string& text) const {
        const auto found = given_.find(field);
        return found == given_.end() ? data_section_ : place_of(found->second, text);
    }

    // Where the study names a column: as a feature, or as the label.
    SourceSpan place_of_column(const std::string& column) const {
        const auto found =
            std::find_if(features_.begin(), features_.end(),
                         [&](const ColumnMention& mention) { return mention.column == column; });
        if (found != features_.end()) {
            return found->where;
        }
        return place(column.empty()                       ? "data.path"
                     : column == settings_.job.data.label ? "data.label"
                                                          : "data.split.group_by");
    }

    void unset_fields_without_effect(const DatasetReport& report) {
        auto& data = settings_.job.data;
        std::vector<std::string> incomplete;
        for (const auto& column : report.columns) {
            if (column.missing > 0) {
                incomplete.push_back(column.name);
            }
        }
        std::sort(incomplete.begin(), incomplete.end());
        if (incomplete.empty() && report.dropped_rows == 0) {
            data.missing.reset();
        } else if (data.missing == MissingValues::drop) {
            data.complete_columns = incomplete;
        }
        if (!report.delimiter_matters) {
            data.delimiter.reset();
        }
        if (!report.decimal_matters) {
            data.decimal.reset();
        }
    }

    bool file_is_there() {
        const std::string source =
            settings_.data_source.empty() ? "" : "; the data can be had here: " + settings_.data_source;
        if (settings_.paths.data.empty()) {
            if (!given_.contains("data.path")) {
                diagnostics_.error(data_section_,
                                   "data.path is not set; expected the path of a CSV or TSV file, written "
                                   "here or given by --set data.path=FILE" +
                                       source);
            }
            return false;
        }
        if (const auto why = no_file_sentence(settings_.paths.data)) {
            diagnostics_.error(place("data.path"),
                               *why +
                                   "; expected a CSV or TSV file (relative paths count from the study "
                                   "file, or from the current directory in --set)" +
                                   source);
            return false;
        }
        return true;
    }

    void report_unknown_column(const SourceSpan& where, const std::string& what, const std::string& column) {
        diagnostics_.unknown_name(where,
                                  what + " '" + column + "' is no column of " + data_name() +
                                      "; expected one of " + join_alternatives(named_columns()),
                                  column, columns_);
    }

    std::vector<std::string> named_columns() const {
        std::vector<std::string> named;
        std::copy_if(columns_.begin(), columns_.end(), std::back_inserter(named),
                     [](const std::string& name) { return !name.empty(); });
        return named;
    }

    std::string data_name() const { return std::filesystem::path(settings_.paths.data).filename().string(); }

    std::vector<std::string> check_features() {
        std::vector<std::string> known;
        for (const auto& [column, where] : features_) {
            if (!contains(columns_, column)) {
                report_unknown_column(where, "feature", column);
            } else if (!contains(known, column) && column != settings_.job.data.label) {
                known.push_back(column);
            }
        }
        return known;
    }

    // What of [data] can be checked further; an unknown label leaves an empty one.
    DataConfig known_part_of_config(const std::vector<std::string>& known_features) {
        DataConfig config = settings_.job.data;
        config.features = known_features;
        if (config.classes.size() == 1) {
            config.classes.clear();  // reported as an error of the list
        }
        if (!config.label.empty() && !contains(columns_, config.label)) {
            report_unknown_column(place("data.label"), "data.label", config.label);
            config.label.clear();
        }
        auto& group_by = config.split.group_by;
        for (const auto& group : group_by) {
            if (!contains(columns_, group.column)) {
                report_unknown_column(place("data.split.group_by", group.column), "grouping column",
                                      group.column);
            }
        }
        std::erase_if(group_by, [&](const GroupColumn& group) { return !contains(columns_, group.column); });
        auto& column = config.split.column;
        if (column && !contains(columns_, *column)) {
            report_unknown_column(place("data.split.column"), "data.split.column", *column);
            column.reset();
        }
        return config;
    }

    void report(const DatasetProblem& problem) {
        using Kind = DatasetProblem::Kind;
        if (problem.line > 0) {
            Diagnostic diagnostic;
            diagnostic.file = settings_.paths.data;
            diagnostic.line = problem.line;
            diagnostic.message = problem.message;
            diagnostic.suggestion = nearest_name(problem.found, problem.candidates).value_or("");
            diagnostics_.add(std::move(diagnostic));
            return;
        }
        const auto where = problem.kind == Kind::bad_column      ? place_of_column(problem.column)
                           : problem.kind == Kind::unknown_class ? place("data.classes", problem.found)
                           : problem.kind == Kind::too_few_rows && given_.contains("data.max_rows")
                               ? place("data.max_rows")
                               : place("data.path");
        diagnostics_.unknown_name(where, problem.message, problem.found, problem.candidates);
    }

    Settings& settings_;
    const GivenFields& given_;
    const std::vector<ColumnMention>& features_;
    const SourceSpan& data_section_;
    Diagnostics& diagnostics_;
    std::vector<std::string> columns_;
};

}  // namespace

DataFacts check_data(Settings& settings, const GivenFields& given, const std::vector<ColumnMention>& features,
                     const SourceSpan& data_section, Diagnostics& diagnostics) {
    return DataCheck(settings, given, features, data_section, diagnostics).run();
}

}  // namespace orchestrate
