// A study file as a tree of values that know where they stand, so that every later error can be shown at
// its place. This is all the rest of the study language sees of TOML.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "experiments/syntax/diagnostics.h"

namespace orchestrate {

struct Value;
struct ValueEntry;

// Entries in the order in which they stand in the file.
struct ValueTable {
    std::vector<ValueEntry> entries;

    const ValueEntry* find(std::string_view key) const;
};

// A TOML date, time or date with time, as it was written.
struct DateOrTime {
    std::string written;
};

// Who decides of what type a value is.
enum class Typing {
    fixed,  // it is of the type of its TOML
    preferred,  // of the type of its TOML where its place takes that, otherwise a string (the value of a variable)
    open,  // of the type that its place takes; a string where that is unknown (--set, environment variables)
};

struct Value {
    std::variant<DateOrTime, bool, std::int64_t, double, std::string, std::vector<Value>, ValueTable> data;
    SourceSpan where;
    // The characters that it was given by, where these are not the string itself: `1.50`, `0x1f`. Empty: unknown.
    std::string written = {};
    Typing typing = Typing::fixed;

    const DateOrTime* as_date() const { return std::get_if<DateOrTime>(&data); }
    const bool* as_flag() const { return std::get_if<bool>(&data); }
    const std::int64_t* as_integer() const { return std::get_if<std::int64_t>(&data); }
    const std::string* as_text() const { return std::get_if<std::string>(&data); }
    const std::vector<Value>* as_list() const { return std::get_if<std::vector<Value>>(&data); }
    const ValueTable* as_table() const { return std::get_if<ValueTable>(&data); }

    // For messages: "the text 'relu'", "the number 0.5", "a list", "a table".
    std::string describe() const;
};

struct ValueEntry {
    std::string key;
    SourceSpan key_where;
    Value value;
};

// Parses TOML. A syntax error is reported to `diagnostics` (the parser stops at the first) and an empty table
// returned.
Value parse_toml(std::shared_ptr<const SourceText> source, Diagnostics& diagnostics);

// A value given as characters alone, by --set or the environment: of the type that its place takes (Typing::open).
// A string in TOML's quotes is one without them only where `may_be_quoted`.
Value value_of_characters(const std::string& text, const SourceSpan& where, bool may_be_quoted);

// The tree as TOML that parses into an equal tree: sections in order of appearance, other values inline.
std::string write_toml(const Value& root);

// One value as inline TOML: `0.5`, `"text"`, `["a", "b"]`, `{ a = 1 }`.
std::string write_inline_toml(const Value& value);

}  // namespace orchestrate
