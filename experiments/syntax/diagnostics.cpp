#include "experiments/syntax/diagnostics.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "common/base/nearest_name.h"
#include "experiments/syntax/escaped_text.h"

namespace orchestrate {
namespace {

std::string line_of(const std::string& text, std::int64_t line) {
    std::size_t begin = 0;
    for (std::int64_t i = 1; i < line && begin != std::string::npos; ++i) {
        begin = text.find('\n', begin);
        begin = begin == std::string::npos ? begin : begin + 1;
    }
    if (begin == std::string::npos) {
        return {};
    }
    std::string found = text.substr(begin, text.find('\n', begin) - begin);
    if (!found.empty() && found.back() == '\r') {
        found.pop_back();
    }
    return found;
}

Diagnostic make_diagnostic(const SourceSpan& where, std::string message, std::string suggestion,
                           bool is_warning) {
    Diagnostic diagnostic;
    diagnostic.message = std::move(message);
    diagnostic.suggestion = std::move(suggestion);
    diagnostic.is_warning = is_warning;
    if (where.source) {
        diagnostic.file = where.source->name;
        diagnostic.line = where.source->is_command_line ? 0 : where.line;
        diagnostic.column = where.column;
        diagnostic.length = std::max<std::int64_t>(1, where.length);
        if (where.line > 0) {
            diagnostic.source_line = line_of(where.source->text, where.line);
        }
    }
    return diagnostic;
}

std::string join(std::span<const std::string> names, const char* last) {
    std::string text;
    for (std::size_t i = 0; i < names.size(); ++i) {
        text += i == 0 ? "" : (i + 1 == names.size() ? fmt::format(" {} ", last) : std::string(", "));
        text += names[i];
    }
    return text;
}

}  // namespace

void Diagnostics::add(Diagnostic diagnostic) {
    errors_ += diagnostic.is_warning ? 0 : 1;
    diagnostics_.push_back(std::move(diagnostic));
}

void Diagnostics::error(const SourceSpan& where, std::string message, std::string suggestion) {
    add(make_diagnostic(where, std::move(message), std::move(suggestion), false));
}

void Diagnostics::warning(const SourceSpan& where, std::string message) {
    add(make_diagnostic(where, std::move(message), {}, true));
}

void Diagnostics::unknown_name(const SourceSpan& where, std::string message, const std::string& found,
                               std::span<const std::string> valid) {
    error(where, std::move(message), nearest_name(found, valid).value_or(""));
}

std::vector<Diagnostic> Diagnostics::sorted() const {
    auto result = diagnostics_;
    std::stable_sort(result.begin(), result.end(), [](const Diagnostic& a, const Diagnostic& b) {
        return std::tie(a.file, a.line, a.column) < std::tie(b.file, b.line, b.column);
    });
    return result;
}

void Diagnostics::throw_if_any() const {
    if (errors_ > 0) {
        throw StudyError(sorted());
    }
}

std::string join_alternatives(std::span<const std::string> names) {
    constexpr std::size_t kMaxListed = 12;
    if (names.size() <= kMaxListed) {
        return join(names, "or");
    }
    std::vector<std::string> listed(names.begin(), names.begin() + kMaxListed);
    listed.push_back(fmt::format("{} others", names.size() - kMaxListed));
    return join(listed, "or");
}

std::string join_and(std::span<const std::string> names) {
    return join(names, "and");
}

}  // namespace orchestrate
