// Reading values that a study file gives, with errors at their places.
#pragma once

#include <string>
#include <vector>

#include "experiments/syntax/value.h"

namespace orchestrate {

// A text or a list of different texts, with their places; empty (reported) if it is neither. `list_name`: what the whole is
// called in messages, if not as one of its names is.
std::vector<Value> read_names(const Value& value, const std::string& what, Diagnostics& diagnostics,
                              const std::string& list_name = {});

// Whether a name that is shown has no blanks at its ends, where nobody sees them; reported if it has. `what` it is the
// name of: "study.name".
bool check_shown_name(const std::string& name, const SourceSpan& where, const std::string& what,
                      Diagnostics& diagnostics);

// Reports "expected ..., found ..." at the value.
void report_unfit(const Value& value, const std::string& name, const std::string& expected,
                  Diagnostics& diagnostics);

}  // namespace orchestrate
