// The rows of an SQL query in memory, and their forms: JSON, CSV, cells of a text table.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include <SQLiteCpp/SQLiteCpp.h>
#include <nlohmann/json.hpp>

#include "results/tables.h"

namespace orchestrate {

struct Blob {
    std::string bytes;
};

using Cell = std::variant<std::nullptr_t, std::int64_t, double, std::string, Blob>;

struct QueryResult {
    std::vector<std::string> columns;
    std::vector<std::vector<Cell>> rows;
};

// Steps a prepared statement, its parameters bound, to its end.
QueryResult read_rows(SQLite::Statement& statement);

// As a table shows it: NULL, a real number with the fewest digits that read back as the same number, x'00ff', the text
// itself.
std::string cell_text(const Cell& cell);

// One object, keys in order of the columns; of columns with equal names the later ones get a suffix ":1",
// ":2"... Bytes become hexadecimal; what is not UTF-8 in a text is replaced when dumped.
nlohmann::ordered_json row_json(const QueryResult& result, std::size_t row);

// An array of objects, one per line. Infinity is 1e999.
std::string rows_json(const QueryResult& result);

// RFC 4180 with a header line and "\n" line ends: fields with commas, quotes or line breaks are quoted; NULL
// is an empty field, an empty text "".
std::string rows_csv(const QueryResult& result);

// The result in any format; a table gets a line "(no rows)" if there are none.
std::string render(const QueryResult& result, std::size_t max_width, OutputFormat format);

}  // namespace orchestrate
