#include "common/data/cell_values.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <regex>
#include <string>

#include "common/base/unicode.h"

namespace orchestrate {
namespace {

constexpr std::string_view kNoBreakSpace = "\xC2\xA0";
constexpr std::string_view kNarrowSpace = "\xE2\x80\xAF";
constexpr std::string_view kRightQuote = "\xE2\x80\x99";

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

std::string lower_case(std::string_view text) {
    std::string lower(text);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return lower;
}

std::size_t digits_at(std::string_view text, std::size_t at) {
    std::size_t count = 0;
    while (at + count < text.size() && is_digit(text[at + count])) {
        ++count;
    }
    return count;
}

// The separator of groups at the begin of `text`; empty if there is none.
std::string_view group_separator(std::string_view text, char decimal) {
    const std::string_view other = decimal == ',' ? "." : ",";
    for (const auto separator :
         {other, std::string_view(" "), std::string_view("'"), kNoBreakSpace, kNarrowSpace, kRightQuote}) {
        if (text.starts_with(separator)) {
            return separator;
        }
    }
    return {};
}

// The digits before the decimal mark without their separators, from `at` on, which is moved behind them; nothing if
// they are grouped otherwise than by threes.
std::optional<std::string> whole_part(std::string_view text, std::size_t& at, char decimal) {
    constexpr std::size_t kGroup = 3;
    const std::size_t first = digits_at(text, at);
    std::string digits(text.substr(at, first));
    at += first;
    const auto separator = group_separator(text.substr(at), decimal);
    if (separator.empty()) {
        return digits;
    }
    if (first == 0 || first > kGroup || digits.front() == '0') {
        return std::nullopt;
    }
    while (text.substr(at).starts_with(separator)) {
        at += separator.size();
        if (digits_at(text, at) != kGroup) {
            return std::nullopt;
        }
        digits += text.substr(at, kGroup);
        at += kGroup;
    }
    return digits;
}

// With 0 to 9 for the digits of other scripts, and the minus and the marks that go with them.
std::string with_plain_digits(std::string_view text) {
    std::string plain;
    while (!text.empty()) {
        const auto character = first_character(text);
        const std::size_t bytes = std::max<std::size_t>(character.bytes, 1);
        const int digit = character.bytes > 1 ? decimal_digit(character.code) : -1;
        if (digit >= 0) {
            plain += static_cast<char>('0' + digit);
        } else if (character.code == 0x2212) {  // minus sign
            plain += '-';
        } else if (character.code == 0x066B ||
                   character.code == 0xFF0E) {  // Arabic decimal mark, full-width point
            plain += '.';
        } else if (character.code == 0x066C ||
                   character.code == 0xFF0C) {  // Arabic group mark, full-width comma
            plain += ',';
        } else {
            plain += text.substr(0, bytes);
        }
        text.remove_prefix(bytes);
    }
    return plain;
}

}  // namespace

std::string_view trimmed_cell(std::string_view text) {
    while (!text.empty()) {
        if (text.front() == ' ' || text.front() == '\t') {
            text.remove_prefix(1);
        } else if (text.starts_with(kNoBreakSpace)) {
            text.remove_prefix(kNoBreakSpace.size());
        } else {
            break;
        }
    }
    while (!text.empty()) {
        if (text.back() == ' ' || text.back() == '\t') {
            text.remove_suffix(1);
        } else if (text.ends_with(kNoBreakSpace)) {
            text.remove_suffix(kNoBreakSpace.size());
        } else {
            break;
        }
    }
    return text;
}

std::optional<double> finite_number(std::string_view text) {
    text = trimmed_cell(text);
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

std::optional<double> grouped_number(std::string_view text, char decimal) {
    text = trimmed_cell(text);
    std::string plain;
    std::size_t at = 0;
    if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
        plain = text[0] == '-' ? "-" : "";
        at = 1;
    }
    const auto whole = whole_part(text, at, decimal);
    if (!whole) {
        return std::nullopt;
    }
    plain += *whole;
    std::size_t fraction = 0;
    if (at < text.size() && text[at] == decimal) {
        fraction = digits_at(text, at + 1);
        plain += '.';
        plain += text.substr(at + 1, fraction);
        at += 1 + fraction;
    }
    if (whole->empty() && fraction == 0) {
        return std::nullopt;
    }
    plain += text.substr(at);  // an exponent, or what makes it no number
    return finite_number(plain);
}

bool is_number_of_other_form(std::string_view text) {
    return !finite_number(text) && (grouped_number(text, ',') || grouped_number(text, '.'));
}

bool is_number_of_unread_form(std::string_view text) {
    if (finite_number(text) || is_number_of_other_form(text)) {
        return false;
    }
    static const std::regex kForms(
        "[-+]?(0[xX][0-9a-fA-F]+"
        "|[0-9]+(_[0-9]+)+([.][0-9]+)?([eE][-+]?[0-9]+)?"
        "|[0-9]{1,3}(,[0-9]{2,3})+,[0-9]{3}([.][0-9]+)?"
        "|[0-9]*[.]?[0-9]+[dD][-+]?[0-9]{1,3}"
        "|[0-9]+(:[0-9]{2}){1,2}([.][0-9]+)?"
        "|([0-9]+ )?[0-9]+/[0-9]+)");
    constexpr std::size_t kLongest = 64;
    const std::string_view trimmed = trimmed_cell(text);
    if (trimmed.empty() || trimmed.size() > kLongest) {
        return false;
    }
    const char first = trimmed.front();
    if (!is_digit(first) && first != '-' && first != '+' && first != '.' &&
        static_cast<unsigned char>(first) < 0x80) {
        return false;
    }
    const std::string plain = with_plain_digits(trimmed);
    return (plain != trimmed && (finite_number(plain) || is_number_of_other_form(plain))) ||
           std::regex_match(plain, kForms);
}

bool is_grouped_by_one_mark(std::string_view text, char decimal) {
    const char other = decimal == ',' ? '.' : ',';
    return text.find(decimal) == std::string_view::npos && std::count(text.begin(), text.end(), other) == 1 &&
           grouped_number(text, decimal);
}

bool is_number_with_unit(std::string_view text) {
    constexpr std::size_t kLongestUnit = 6;  // bytes
    text = trimmed_cell(text);
    const auto first = std::find_if(text.begin(), text.end(), is_digit);
    if (first == text.end()) {
        return false;
    }
    auto begin = static_cast<std::size_t>(first - text.begin());
    if (begin > 0 && (text[begin - 1] == '-' || text[begin - 1] == '.')) {
        --begin;
    }
    std::size_t end = text.size();
    while (!is_digit(text[end - 1])) {
        --end;
    }
    const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    const bool has_name =
        std::any_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(begin), is_letter);
    if (has_name || begin + (text.size() - end) == 0 || text.size() - end > kLongestUnit) {
        return false;
    }
    const auto number = text.substr(begin, end - begin);
    return finite_number(number) || is_number_of_other_form(number);
}

std::optional<bool> truth_value(std::string_view text) {
    text = trimmed_cell(text);
    if (text.size() < 2 || text.size() > 5) {
        return std::nullopt;
    }
    const std::string lower = lower_case(text);
    if (lower == "true" || lower == "yes") {
        return true;
    }
    if (lower == "false" || lower == "no") {
        return false;
    }
    return std::nullopt;
}

bool is_missing_word(std::string_view text) {
    constexpr std::array<std::string_view, 14> kWords = {
        "na", "n/a", "nan", "-nan", "null", "none", "nil", "n.a.", "?", "-", "--", ".", "#n/a", "<na>"};
    text = trimmed_cell(text);
    if (text.empty() || text.size() > 4) {
        return false;
    }
    return std::find(kWords.begin(), kWords.end(), lower_case(text)) != kWords.end();
}

}  // namespace orchestrate
