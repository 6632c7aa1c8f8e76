// Reading a labelled table: CSV or TSV (gzip too) with a label column and feature columns, numeric, boolean
// or text. Shared by the study language, which checks a file before anything starts, and by the worker, which
// trains on it.
//
// What a file may be: UTF-8 (a byte order mark is skipped), comma, semicolon or tab between the fields, a
// header line, quotes as in RFC 4180, LF or CRLF, blank lines anywhere. Only the label, the chosen features
// and the columns that rows are grouped by are looked at; but every row must have as many fields as the
// header. White space round numbers and truth values is ignored; labels and texts are taken as they are.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/error.h"
#include "common/job_config.h"

namespace orchestrate {

enum class ColumnKind { numeric, boolean, text };
BOOST_DESCRIBE_ENUM(ColumnKind, numeric, boolean, text)

// One mistake found in a data file or in what a configuration says of it.
struct DatasetProblem {
    enum class Kind { unreadable_file, unknown_column, unknown_class, bad_row, too_few_rows };
    Kind kind = Kind::bad_row;
    std::string found;                    // the name or value at fault
    std::int64_t line = 0;                // 1-based line in the data file; 0: not about a line
    std::string message;                  // complete sentence: what was found, expected, and what to do
    std::vector<std::string> candidates;  // valid names, for a suggestion
};

// Thrown with every problem found (rows: the first 10). what() has a line for each, nearest valid names
// included.
class DatasetError : public UserError {
  public:
    explicit DatasetError(std::vector<DatasetProblem> problems);
    const std::vector<DatasetProblem>& problems() const { return problems_; }

  private:
    std::vector<DatasetProblem> problems_;
};

// One feature column; exactly one of the two vectors is filled, according to kind. Booleans (true/false,
// yes/no, any case) are numbers 0 and 1.
struct FeatureColumn {
    std::string name;
    ColumnKind kind = ColumnKind::numeric;
    std::vector<double> numbers;
    std::vector<std::string> texts;
};

// The rows a study uses, column by column; row i of every vector belongs together.
struct Dataset {
    std::vector<std::string> classes;  // sorted by Unicode code point, as scikit-learn's LabelEncoder
    std::vector<std::int32_t> label;   // index into classes
    std::vector<std::int64_t> line;    // 1-based line in the file
    std::vector<FeatureColumn> features;
    std::vector<std::string> group;  // key of SplitConfig::group_by; empty vector: rows are not grouped
    std::string sha256;              // of the uncompressed content

    std::size_t rows() const { return label.size(); }
};

// The names in the header line. Throws DatasetError if the file cannot be read.
std::vector<std::string> read_column_names(const std::filesystem::path& path);

// Reads the rows of the configured classes (all features of `features`, in that order, which may be a
// superset of config.features) and samples max_rows of them, each class in proportion; the sample grows with
// max_rows and depends on split.seed and line numbers alone. A feature column is numeric if every row of
// these classes holds a finite number, boolean if every one holds a truth value, text otherwise; but a column
// that is a number in more than half of the rows and not in others is reported row by row: that is a mistake
// in the data, not a text. Without configured classes, an empty label is a mistake too. config.sha256 is not
// compared. Throws DatasetError.
Dataset read_dataset(const std::filesystem::path& path, const DataConfig& config,
                     const std::vector<std::string>& features);

}  // namespace orchestrate
