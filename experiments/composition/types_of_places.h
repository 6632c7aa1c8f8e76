// The type of a value that only its place in the study decides.
#pragma once

#include "experiments/syntax/value.h"

namespace orchestrate {

// Gives every value of the tree that is not of a fixed type the one that its place takes: that of a field or key in the
// table of fields, or of a parameter, the one that [parameters] of the file gives it. `parameters_in_file`: that section
// before the command line changed it, with its variables in their places; its own values get theirs too.
void fix_types(Value& root, Value& parameters_in_file);

}  // namespace orchestrate
