// Reading a labelled table: CSV or TSV (gzip too) with a label column and feature columns: numbers, truth values or
// strings. Shared by the study language, which checks a file before anything starts, and by the worker, which
// trains on it.
//
// What a file may be: UTF-8 (a byte order mark is skipped), a header line, quotes as in RFC 4180, LF or CRLF, blank
// lines anywhere; delimiters as in common/data/csv.h. Only the label, the chosen features and the columns that rows are
// grouped or split by are looked at; but every row must have as many fields as the header. White space around numbers
// and truth values is ignored; labels and strings are taken as they are.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/job/data_part.h"
#include "common/job/job_config.h"

namespace orchestrate {

enum class ColumnKind { numeric, boolean, text };
BOOST_DESCRIBE_ENUM(ColumnKind, numeric, boolean, text)

// One error found in a data file or in what a configuration says of it.
struct DatasetProblem {
    enum class Kind { unreadable_file, unknown_column, unknown_class, bad_row, bad_column, too_few_rows };
    Kind kind = Kind::bad_row;
    std::string found;                         // the name or value at fault
    std::int64_t line = 0;                     // 1-based line in the data file; 0: not about a line
    std::string message;                       // complete sentence: what was found, expected, and what to do
    std::vector<std::string> candidates = {};  // valid names, for a suggestion
    std::string column = "";                   // the column it is about, of a bad_column
};

// Thrown with every problem found (of rows: the first 10, of each kind at least one). what() has a line for each,
// nearest valid names included.
class DatasetError : public UserError {
  public:
    explicit DatasetError(std::vector<DatasetProblem> problems);
    const std::vector<DatasetProblem>& problems() const { return problems_; }

  private:
    std::vector<DatasetProblem> problems_;
};

// One feature column; exactly one of numbers and texts is filled, according to kind. Booleans (true/false,
// yes/no, any case) are numbers 0 and 1.
struct FeatureColumn {
    std::string name;
    ColumnKind kind = ColumnKind::numeric;
    std::vector<double> numbers;             // not a number where it is missing
    std::vector<std::string> texts;          // empty where it is missing
    std::vector<std::uint8_t> missing = {};  // per row, 1: missing; empty vector: every row has a value
    bool is_missing(std::size_t row) const { return !missing.empty() && missing[row] != 0; }
};

// The rows a study uses, column by column; row i of every vector belongs together.
struct Dataset {
    std::vector<std::string> classes;  // sorted by Unicode code point, as scikit-learn's LabelEncoder
    std::vector<std::int32_t> label;   // index into classes
    std::vector<std::int64_t> line;    // 1-based line in the file
    std::vector<FeatureColumn> features;
    std::vector<std::string> group;  // key of SplitConfig::group_by; empty vector: rows are not grouped
    std::vector<DataPart> part;      // that SplitConfig::column names; empty vector: it is not set
    std::string sha256;              // of the uncompressed content

    std::size_t rows() const { return label.size(); }
};

// What a column of the file was taken for, over the rows of the classes used.
struct ColumnSummary {
    // Of `distinct`, the most that are counted.
    static constexpr std::int64_t kMaxDistinct = 1000;

    std::string name;
    ColumnKind kind = ColumnKind::numeric;
    std::int64_t rows = 0;
    std::int64_t missing = 0;   // rows without a value
    std::int64_t distinct = 0;  // different values; kMaxDistinct + 1: more than kMaxDistinct
    // A text column whose values repeat: at most kMaxDistinct, each twice on average or more often.
    bool is_category() const {
        return kind == ColumnKind::text && distinct <= kMaxDistinct && 2 * distinct <= rows - missing;
    }
};

// Something that was guessed or looks wrong.
struct DatasetWarning {
    std::string column;  // empty: about the whole file
    std::string message;
};

// What a reading found besides the data; for those who show it to users.
struct DatasetReport {
    std::vector<ColumnSummary> columns;  // of the features
    std::vector<DatasetWarning> warnings;
    std::int64_t dropped_rows = 0;   // by MissingValues::drop
    bool delimiter_matters = false;  // without DataConfig::delimiter, another one would be used
    bool decimal_matters = false;    // without DataConfig::decimal, some cell would be read otherwise
};

// The names in the header line. `delimiter`: 0 if it is not known. Throws DatasetError if the file cannot be read.
std::vector<std::string> read_column_names(const std::filesystem::path& path, char delimiter = 0);

// Reads the rows of the configured classes (all features of `features`, in that order, which may be a
// superset of config.features) and samples max_rows of them, each class in proportion; the sample grows with
// max_rows and depends on split.seed and line numbers alone. What is in a column decides its kind: numeric if more
// than half of the cells that are not missing are finite numbers (the others are then errors, reported row by row),
// boolean if all of them are truth values, text otherwise. Missing are empty cells, and in numeric and boolean columns
// the words of is_missing_word; config.missing says what is done about them. A column without any value is an error,
// and so is one of numbers in another form (decimal comma, grouped digits) unless config.decimal says how to read
// them. Without configured classes, an empty label is an error too (MissingValues::drop leaves such rows out).
// config.sha256 is not compared. Fills `report` if there is one. Throws DatasetError.
Dataset read_dataset(const std::filesystem::path& path, const DataConfig& config,
                     const std::vector<std::string>& features, DatasetReport* report = nullptr);

}  // namespace orchestrate
