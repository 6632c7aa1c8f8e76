#include "results/text_table.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string_view>

#include "results/display_width.h"
#include "results/tables.h"

namespace orchestrate {
namespace {

constexpr std::string_view kGap = "  ";
constexpr std::string_view kRule = "\u2500";
constexpr std::size_t kNarrowestText = 10;
constexpr std::size_t kNarrowestTitle = 12;  // of numbers

struct Column {
    std::string title;
    std::vector<std::string> cells;
    std::size_t width = 0;
    std::size_t title_width = 0;
    std::size_t cell_width = 0;  // of its widest cell
    bool is_number = false;

    // What may be left out of it: the end of a text, of numbers that of their title.
    std::size_t narrowest() const {
        return is_number ? std::max(cell_width, std::min(title_width, kNarrowestTitle))
                         : std::min(width, kNarrowestText);
    }
};

bool has_no_value(std::string_view cell) {
    return cell.empty() || cell == "NULL" || cell == "-";
}

// "51.8 \u00b10.4", "-3", "2/2", "1.5e-05", "12,345", "93 %"
bool looks_like_number(std::string_view cell) {
    constexpr std::string_view kPlusMinus = "\u00b1";
    const std::size_t first = cell.find_first_not_of(" +-.");
    if (first == std::string_view::npos || cell[first] < '0' || cell[first] > '9') {
        return false;
    }
    std::string rest(cell.substr(first));
    if (const std::size_t sign = rest.find(kPlusMinus); sign != std::string::npos) {
        rest.erase(sign, kPlusMinus.size());
    }
    return rest.find_first_not_of("0123456789.,+-eE%/ ") == std::string::npos;
}

std::vector<Column> measured_columns(const std::vector<std::string>& header,
                                     const std::vector<std::vector<std::string>>& rows) {
    std::vector<Column> columns(header.size());
    for (std::size_t i = 0; i < header.size(); ++i) {
        columns[i].title = escaped(header[i]);
        columns[i].title_width = display_width(columns[i].title);
        columns[i].width = columns[i].title_width;
    }
    for (const auto& row : rows) {
        if (row.size() > header.size()) {
            throw std::invalid_argument("a row has " + std::to_string(row.size()) + " cells, the header " +
                                        std::to_string(header.size()));
        }
        for (std::size_t i = 0; i < header.size(); ++i) {
            columns[i].cells.push_back(i < row.size() ? escaped(row[i]) : std::string());
            columns[i].cell_width = std::max(columns[i].cell_width, display_width(columns[i].cells.back()));
        }
    }
    for (Column& column : columns) {
        column.width = std::max(column.width, column.cell_width);
        bool any = false;
        column.is_number =
            std::all_of(column.cells.begin(), column.cells.end(), [&](const std::string& cell) {
                any = any || !has_no_value(cell);
                return has_no_value(cell) || looks_like_number(cell);
            });
        column.is_number = column.is_number && any;
    }
    return columns;
}

std::size_t total_width(const std::vector<Column>& columns) {
    const std::size_t gaps = columns.empty() ? 0 : (columns.size() - 1) * kGap.size();
    return std::accumulate(columns.begin(), columns.end(), gaps,
                           [](std::size_t sum, const Column& column) { return sum + column.width; });
}

// Takes from the widest column that can give, again and again, until the line fits or none can give more. No number loses a
// digit.
void narrow(std::vector<Column>& columns, std::size_t max_width) {
    std::size_t total = total_width(columns);
    while (total > max_width) {
        Column* widest = nullptr;
        for (Column& column : columns) {
            if (column.width > column.narrowest() && (!widest || column.width > widest->width)) {
                widest = &column;
            }
        }
        if (!widest) {
            return;
        }
        std::size_t next_widest = widest->narrowest();
        for (const Column& column : columns) {
            if (column.width > column.narrowest() && column.width < widest->width) {
                next_widest = std::max(next_widest, column.width);
            }
        }
        const std::size_t taken =
            std::min(total - max_width, std::max<std::size_t>(widest->width - next_widest, 1));
        widest->width -= taken;
        total -= taken;
    }
}

std::string line_of(const std::vector<Column>& columns, const std::vector<std::string_view>& cells) {
    std::string line;
    for (std::size_t i = 0; i < columns.size(); ++i) {
        const std::string cell = shortened(cells[i], columns[i].width);
        const std::string padding(columns[i].width - display_width(cell), ' ');
        line += i == 0 ? "" : kGap;
        line += columns[i].is_number ? padding + cell : cell + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    return line + "\n";
}

}  // namespace

std::size_t narrowest_table_width(const std::vector<std::string>& header,
                                  const std::vector<std::vector<std::string>>& rows) {
    std::vector<Column> columns = measured_columns(header, rows);
    narrow(columns, 0);
    return total_width(columns);
}

std::string render_text_table(const std::vector<std::string>& header,
                              const std::vector<std::vector<std::string>>& rows, std::size_t max_width) {
    std::vector<Column> columns = measured_columns(header, rows);
    if (max_width > 0) {
        narrow(columns, max_width);
    }
    std::vector<std::string_view> cells;
    for (const Column& column : columns) {
        cells.push_back(column.title);
    }
    std::string text = line_of(columns, cells);
    for (std::size_t i = 0, end = total_width(columns); i < end; ++i) {
        text += kRule;
    }
    text += "\n";
    for (std::size_t row = 0; row < rows.size(); ++row) {
        for (std::size_t i = 0; i < columns.size(); ++i) {
            cells[i] = columns[i].cells[row];
        }
        text += line_of(columns, cells);
    }
    return text;
}

}  // namespace orchestrate
