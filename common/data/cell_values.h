// What one field of a table may stand for.
#pragma once

#include <optional>
#include <string_view>

namespace orchestrate {

// Without blanks, tabs and no-break spaces at both ends.
std::string_view trimmed_cell(std::string_view text);

// A finite decimal number ("-6.7", "+2", "1e-06"), white space round it ignored; the decimal mark is '.'.
std::optional<double> finite_number(std::string_view text);

// A finite number with the given decimal mark ('.' or ','), whose digits before it may be grouped by threes, by one
// and the same of: the other mark, a space (no-break and narrow too) or an apostrophe. With ',': "1,5", "-6,7e3",
// "1.234.567,8", "1 234".
std::optional<double> grouped_number(std::string_view text, char decimal);

// A number in either form of grouped_number that finite_number does not read: "1,5", "1,234.5", "1 234".
bool is_number_of_other_form(std::string_view text);

// A number that is read in no form: in other digits than 0 to 9, hexadecimal (0x1f), with underscores (1_000), grouped
// otherwise than by threes (1,23,456), with Fortran's exponent (1.5D3), of time (3:45), or a fraction (1/7).
bool is_number_of_unread_form(std::string_view text);

// A number with the decimal mark ',' or '.' whose only other mark stands before three digits, so that it may be a decimal
// mark as well: "1.288" with ','.
bool is_grouped_by_one_mark(std::string_view text, char decimal);

// A number with a unit or a currency's sign: "12 %", "5kg", "$3.50"; not "track 7".
bool is_number_with_unit(std::string_view text);

// true/false or yes/no in any case, white space round it ignored.
std::optional<bool> truth_value(std::string_view text);

// What programs write where a value is missing: NA, N/A, NaN, null, none, nil, "?", "-", ".", #N/A, <NA>, in any case.
bool is_missing_word(std::string_view text);

}  // namespace orchestrate
