// Reading values that a study file gives, with errors at their places.
#pragma once

#include <string>
#include <vector>

#include "experiments/syntax/value.h"

namespace orchestrate {

// A text or a list of different texts, with their places; empty (reported) if it is neither.
std::vector<Value> read_names(const Value& value, const std::string& what, Mistakes& mistakes);

// Reports "expected ..., found ..." at the value.
void report_unfit(const Value& value, const std::string& name, const std::string& expected,
                  Mistakes& mistakes);

}  // namespace orchestrate
