#include "experiments/syntax/diagnostic.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "experiments/syntax/escaped_text.h"

namespace orchestrate {

namespace {

bool is_continuation_byte(char c) {
    return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

std::int64_t code_points(const std::string& text) {
    return std::count_if(text.begin(), text.end(), [](char c) { return !is_continuation_byte(c); });
}

// The characters from `first` on (from 1), at most `count` of them.
std::string part_of(const std::string& text, std::int64_t first, std::int64_t count) {
    std::string part;
    std::int64_t at = 0;
    for (const char c : text) {
        at += is_continuation_byte(c) ? 0 : 1;
        if (at >= first && at < first + count) {
            part += c;
        }
    }
    return part;
}

// Tabs stay, since the underline below has them too.
std::string escaped_line(const std::string& line) {
    std::string result;
    for (std::size_t begin = 0; begin <= line.size();) {
        const std::size_t end = std::min(line.find('\t', begin), line.size());
        result += escaped_text(line.substr(begin, end - begin)) + (end < line.size() ? "\t" : "");
        begin = end + 1;
    }
    return result;
}

// The source line and the column in it; of a very long line only what stands around the column.
std::pair<std::string, std::int64_t> clipped(const Diagnostic& diagnostic) {
    constexpr std::int64_t kLongest = 200;
    constexpr std::int64_t kBefore = 40;
    const std::string line = escaped_line(diagnostic.source_line);
    if (code_points(line) <= kLongest) {
        return {line, diagnostic.column};
    }
    const std::int64_t first = std::max<std::int64_t>(1, diagnostic.column - kBefore);
    const bool is_cut_before = first > 1;
    const bool is_cut_after = first + kLongest <= code_points(line);
    return {(is_cut_before ? "..." : "") + part_of(line, first, kLongest) + (is_cut_after ? "..." : ""),
            diagnostic.column > 0 ? diagnostic.column - first + 1 + (is_cut_before ? 3 : 0) : 0};
}

// Tabs stay tabs, so that the underline stands below what it underlines.
std::string indentation(const std::string& line, std::int64_t column) {
    std::string spaces;
    std::int64_t at = 1;
    for (const char c : line) {
        if (is_continuation_byte(c)) {
            continue;
        }
        if (at++ >= column) {
            break;
        }
        spaces += c == '\t' ? '\t' : ' ';
    }
    return spaces;
}

}  // namespace

std::string render(const Diagnostic& diagnostic) {
    std::string text = diagnostic.file;
    if (diagnostic.line > 0) {
        text += fmt::format(":{}", diagnostic.line);
        if (diagnostic.column > 0) {
            text += fmt::format(":{}", diagnostic.column);
        }
    }
    text += fmt::format(": {}: {}", diagnostic.is_warning ? "warning" : "error", diagnostic.message);
    if (!diagnostic.suggestion.empty()) {
        text += fmt::format("; did you mean '{}'?", diagnostic.suggestion);
    }
    if (diagnostic.source_line.empty()) {
        return text;
    }
    const auto [source_line, column] = clipped(diagnostic);
    const std::string label = diagnostic.line > 0 ? fmt::format("{:>5}", diagnostic.line) : "--set";
    text += fmt::format("\n{} | {}", label, source_line);
    if (column > 0) {
        const auto room = std::max<std::int64_t>(1, code_points(source_line) - column + 1);
        const auto length = std::clamp<std::int64_t>(diagnostic.length, 1, room);
        text += fmt::format("\n      | {}^{}", indentation(source_line, column),
                            std::string(static_cast<std::size_t>(length - 1), '~'));
    }
    return text;
}

StudyError::StudyError(std::vector<Diagnostic> diagnostics)
    : std::runtime_error([&] {
          std::string text;
          for (const auto& diagnostic : diagnostics) {
              text += (text.empty() ? "" : "\n") + render(diagnostic);
          }
          return text;
      }()),
      diagnostics_(std::move(diagnostics)) {}

}  // namespace orchestrate
