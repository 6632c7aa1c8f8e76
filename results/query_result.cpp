#include "results/query_result.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string_view>

#include <fmt/format.h>
#include <sqlite3.h>

#include "results/display_width.h"
#include "results/text_table.h"

namespace orchestrate {
namespace {

Cell read_cell(const SQLite::Column& column) {
    switch (column.getType()) {
        case SQLITE_INTEGER:
            return column.getInt64();
        case SQLITE_FLOAT:
            return column.getDouble();
        case SQLITE_TEXT:
            return column.getString();
        case SQLITE_BLOB:
            return Blob{column.getString()};
        default:
            return nullptr;
    }
}

std::string hexadecimal(std::string_view bytes) {
    std::string text;
    for (const char byte : bytes) {
        text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    }
    return text;
}

// Shortest digits that read back as the same number, always with a point or an exponent.
std::string exact_real(double value) {
    std::string text = fmt::format("{}", value);
    if (text.find_first_not_of("-0123456789") == std::string::npos) {
        text += ".0";
    }
    return text;
}

std::string csv_field(std::string_view text) {
    if (!text.empty() && text.find_first_of(",\"\r\n") == std::string_view::npos) {
        return std::string(text);
    }
    std::string quoted = "\"";
    for (const char c : text) {
        quoted.append(c == '"' ? 2 : 1, c);
    }
    return quoted.append(1, '"');
}

std::string csv_cell(const Cell& cell) {
    if (const auto* text = std::get_if<std::string>(&cell)) {
        return csv_field(*text);
    }
    if (const auto* blob = std::get_if<Blob>(&cell)) {
        return hexadecimal(blob->bytes);
    }
    if (const auto* real = std::get_if<double>(&cell)) {
        return exact_real(*real);
    }
    if (const auto* integer = std::get_if<std::int64_t>(&cell)) {
        return std::to_string(*integer);
    }
    return {};
}

nlohmann::ordered_json json_cell(const Cell& cell) {
    if (const auto* blob = std::get_if<Blob>(&cell)) {
        return hexadecimal(blob->bytes);
    }
    if (const auto* text = std::get_if<std::string>(&cell)) {
        return *text;
    }
    if (const auto* real = std::get_if<double>(&cell)) {
        return *real;
    }
    if (const auto* integer = std::get_if<std::int64_t>(&cell)) {
        return *integer;
    }
    return nullptr;
}

std::vector<std::string> distinct_names(const std::vector<std::string>& columns) {
    std::vector<std::string> names;
    std::set<std::string> taken;
    for (const std::string& column : columns) {
        std::string name = column;
        for (int suffix = 1; !taken.insert(name).second; ++suffix) {
            name = column + ":" + std::to_string(suffix);
        }
        names.push_back(name);
    }
    return names;
}

nlohmann::ordered_json object_of(const std::vector<std::string>& names, const std::vector<Cell>& cells) {
    auto object = nlohmann::ordered_json::object();
    for (std::size_t i = 0; i < names.size(); ++i) {
        object[names[i]] = json_cell(cells[i]);
    }
    return object;
}

std::string json_string(const std::string& text) {
    return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// JSON has no infinity, but a number that every parser of doubles reads as one.
std::string json_text(const Cell& cell) {
    if (const auto* real = std::get_if<double>(&cell)) {
        return std::isinf(*real) ? (*real < 0 ? "-1e999" : "1e999") : exact_real(*real);
    }
    return json_cell(cell).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// Each row as a block of "column  value" lines.
std::string render_blocks(const std::vector<std::string>& header,
                          const std::vector<std::vector<std::string>>& rows, std::size_t max_width) {
    std::size_t name_width = 0;
    for (const std::string& name : header) {
        name_width = std::max(name_width, display_width(escaped(name)));
    }
    std::string text;
    for (std::size_t row = 0; row < rows.size(); ++row) {
        text += fmt::format("row {}\n", row + 1);
        for (std::size_t i = 0; i < header.size(); ++i) {
            const std::string name = escaped(header[i]);
            const std::string padding(name_width - display_width(name), ' ');
            const std::string line = fmt::format("  {}{}  {}", name, padding, escaped(rows[row][i]));
            text.append(shortened(line, max_width)).append("\n");
        }
    }
    return text;
}

}  // namespace

QueryResult read_rows(SQLite::Statement& statement) {
    QueryResult result;
    const int count = statement.getColumnCount();
    for (int i = 0; i < count; ++i) {
        result.columns.emplace_back(statement.getColumnName(i));
    }
    while (statement.executeStep()) {
        auto& row = result.rows.emplace_back();
        for (int i = 0; i < count; ++i) {
            row.push_back(read_cell(statement.getColumn(i)));
        }
    }
    return result;
}

std::string cell_text(const Cell& cell) {
    if (std::holds_alternative<std::nullptr_t>(cell)) {
        return "NULL";
    }
    if (const auto* real = std::get_if<double>(&cell)) {
        return exact_real(*real);
    }
    if (const auto* text = std::get_if<std::string>(&cell)) {
        return *text;
    }
    if (const auto* blob = std::get_if<Blob>(&cell)) {
        return fmt::format("x'{}'", hexadecimal(blob->bytes));
    }
    return std::to_string(std::get<std::int64_t>(cell));
}

nlohmann::ordered_json row_json(const QueryResult& result, std::size_t row) {
    return object_of(distinct_names(result.columns), result.rows.at(row));
}

std::string rows_json(const QueryResult& result) {
    const std::vector<std::string> names = distinct_names(result.columns);
    std::string text = "[";
    for (std::size_t row = 0; row < result.rows.size(); ++row) {
        text += row == 0 ? "\n  {" : ",\n  {";
        for (std::size_t i = 0; i < names.size(); ++i) {
            text += (i == 0 ? "" : ",") + json_string(names[i]) + ":" + json_text(result.rows[row][i]);
        }
        text += "}";
    }
    return text + (result.rows.empty() ? "]\n" : "\n]\n");
}

std::string rows_csv(const QueryResult& result) {
    std::string text;
    for (std::size_t i = 0; i < result.columns.size(); ++i) {
        text.append(i == 0 ? "" : ",").append(csv_field(result.columns[i]));
    }
    text += "\n";
    for (const auto& row : result.rows) {
        for (std::size_t i = 0; i < row.size(); ++i) {
            text.append(i == 0 ? "" : ",").append(csv_cell(row[i]));
        }
        text += "\n";
    }
    return text;
}

std::string render(const QueryResult& result, std::size_t max_width, OutputFormat format) {
    if (format == OutputFormat::json) {
        return rows_json(result);
    }
    if (format == OutputFormat::csv) {
        return rows_csv(result);
    }
    std::vector<std::vector<std::string>> rows;
    for (const auto& row : result.rows) {
        auto& cells = rows.emplace_back();
        std::transform(row.begin(), row.end(), std::back_inserter(cells), cell_text);
    }
    if (max_width > 0 && !rows.empty() && narrowest_table_width(result.columns, rows) > max_width) {
        return render_blocks(result.columns, rows, max_width);
    }
    return render_text_table(result.columns, rows, max_width) + (rows.empty() ? "(no rows)\n" : "");
}

}  // namespace orchestrate
