// The cells of one feature column of a data file: what kind of column they make, and which of them are missing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/data/dataset.h"
#include "common/data/row_problems.h"

namespace orchestrate {

class FeatureCells {
  public:
    // `index`: of the column in the file. `decimal`: '.' or ',', or 0 if the study does not say it.
    FeatureCells(std::string name, std::size_t index, char decimal)
        : name_(std::move(name)), index_(index), decimal_(decimal) {}

    const std::string& name() const { return name_; }
    std::size_t index() const { return index_; }

    void add(std::string_view cell);

    // After the last add(): settles the kind. Of each row, `line` is its line in the file, which `file` names.
    // Errors of the column are added to `problems`, those of rows to `rows`; missing cells are errors if
    // `refuse_missing`.
    void decide_kind(const std::vector<std::int64_t>& line, const std::string& file, bool refuse_missing,
                     std::vector<DatasetProblem>& problems, RowProblems& rows);

    // After decide_kind().
    bool is_missing(std::size_t row) const;
    std::size_t missing_count() const { return missing_; }
    bool decimal_matters() const { return decimal_matters_; }
    ColumnSummary summary() const;
    // What was guessed about the column, or looks wrong in it.
    std::vector<DatasetWarning> warnings(const ColumnSummary& summary) const;
    FeatureColumn take();

  private:
    enum class State : std::uint8_t { empty, missing_word, number, truth, other };

    std::string_view value(std::size_t row) const {
        const std::size_t begin = row == 0 ? 0 : ends_[row - 1];
        return std::string_view(characters_).substr(begin, ends_[row] - begin);
    }
    std::optional<double> number_of(std::string_view cell) const;
    std::size_t rows() const { return ends_.size(); }
    std::size_t count(State state) const { return counts_[static_cast<std::size_t>(state)]; }
    std::size_t values() const { return rows() - count(State::empty) - count(State::missing_word); }
    std::optional<std::string> number_form_error(const std::vector<std::int64_t>& line) const;
    void report_cells(const std::vector<std::int64_t>& line, const std::string& file, bool refuse_missing,
                      RowProblems& rows) const;
    std::vector<std::string> warnings_of_numbers() const;
    std::optional<std::string> warning_of_groups() const;
    std::vector<std::string> warnings_of_texts(const ColumnSummary& summary) const;

    std::string name_;
    std::size_t index_;
    char decimal_;
    std::string characters_;  // of all cells, one after another
    std::vector<std::size_t> ends_;
    std::vector<double> numbers_;  // not a number where the cell is none
    std::vector<State> states_;
    std::size_t counts_[5] = {};
    bool decimal_matters_ = false;
    ColumnKind kind_ = ColumnKind::text;
    std::size_t missing_ = 0;
};

}  // namespace orchestrate
