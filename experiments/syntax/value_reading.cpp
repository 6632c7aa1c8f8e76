#include "experiments/syntax/value_reading.h"

#include <algorithm>

#include "common/data/cell_values.h"
#include "experiments/syntax/escaped_text.h"

namespace orchestrate {

void report_unfit(const Value& value, const std::string& name, const std::string& expected,
                  Diagnostics& diagnostics) {
    diagnostics.error(value.where, name + " cannot be " + value.describe() + "; expected " + expected);
}

std::vector<Value> read_names(const Value& value, const std::string& what, Diagnostics& diagnostics,
                              const std::string& list_name) {
    if (value.as_text()) {
        return {value};
    }
    const auto* list = value.as_list();
    if (!list || list->empty()) {
        report_unfit(value, list_name.empty() ? what : list_name, "a text or a list of texts", diagnostics);
        return {};
    }
    std::vector<Value> names;
    for (const auto& item : *list) {
        const auto* name = item.as_text();
        if (!name || name->empty()) {
            report_unfit(item, what, "a text", diagnostics);
        } else if (std::any_of(names.begin(), names.end(),
                               [&](const Value& other) { return *other.as_text() == *name; })) {
            diagnostics.error(item.where, what + " '" + *name + "' is listed twice; expected each once");
        } else {
            names.push_back(item);
        }
    }
    return names;
}

bool check_shown_name(const std::string& name, const SourceSpan& where, const std::string& what,
                      Diagnostics& diagnostics) {
    if (trimmed_cell(name) == name) {
        return true;
    }
    diagnostics.error(where,
                      what + " cannot be '" + escaped_text(name) +
                          (trimmed_cell(name).empty() ? "', which is blank; expected a name"
                                                      : "'; expected a name without blanks at its ends"));
    return false;
}

}  // namespace orchestrate
