#include "common/cell_values.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>

namespace orchestrate {
namespace {

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(" \t");
    return first == std::string_view::npos ? std::string_view{}
                                           : text.substr(first, text.find_last_not_of(" \t") + 1 - first);
}

}  // namespace

std::optional<double> finite_number(std::string_view text) {
    text = trimmed(text);
    if (text.size() > 1 && text.front() == '+' && text[1] != '-') {
        text.remove_prefix(1);
    }
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
        return std::nullopt;
    }
    return value;
}

std::optional<bool> truth_value(std::string_view text) {
    text = trimmed(text);
    if (text.size() < 2 || text.size() > 5) {
        return std::nullopt;
    }
    std::string lower(text);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    if (lower == "true" || lower == "yes") {
        return true;
    }
    if (lower == "false" || lower == "no") {
        return false;
    }
    return std::nullopt;
}

}  // namespace orchestrate
