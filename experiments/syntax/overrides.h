// What --set and the environment give: characters, whose type the place that they are for decides.
#pragma once

#include "experiments/syntax/value.h"

namespace orchestrate {

// Applies "train.epochs=3" to the tree: the key is dotted (a part in quotes is one key), the value is the characters
// behind "=". Tables on the way are made. Reports to `diagnostics` if there is no "=", the text is not UTF-8, or the way
// leads through something that is not a table.
void apply_override(Value& root, const std::string& override_text, Diagnostics& diagnostics);

// `given` (Typing::open) as a value of the type of `example`, which it replaces; open as it was if the example is open
// too. An integer in place of a number becomes one. Reports under `name` what cannot be of that type.
Value of_same_type(const Value& given, const Value& example, const std::string& name,
                   Diagnostics& diagnostics);

// Whether the integer stays the same as a double.
bool is_exact_number(std::int64_t integer);

// Reports strings and keys that hold the character NUL, which neither an argument of a program nor a file name can, and
// names that hold line breaks or other control characters.
void check_characters(const Value& root, Diagnostics& diagnostics);

}  // namespace orchestrate
