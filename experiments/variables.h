// [variables]: values with a name, which the rest of a study uses as "${name}". The only way into a study for
// environment variables: { environment = "NAME", default = ... }.
#pragma once

#include "experiments/value.h"

namespace orchestrate {

// Replaces "${name}" in the texts of the tree, and takes [variables] out of it. A text that is nothing but
// "${name}" becomes the variable's value, of whatever type; within a longer text the value is written out.
// "$${" stands for "${". Reports unknown variables, environment variables that are not set and have no default, and
// variables given by --set that nothing uses; warns of those of the file. Returns whether there were any.
bool replace_variables(Value& root, Mistakes& mistakes);

}  // namespace orchestrate
