// The fields and keys of study files, described.
#pragma once

#include <string>

namespace orchestrate {

// The fields as a Markdown table per section, for README.md.
std::string field_reference();

// "explain": type, unit, range, default and meaning of a field, or the fields of a section. Throws UserError with
// the nearest name if there is none.
std::string explain_field(const std::string& name);

}  // namespace orchestrate
