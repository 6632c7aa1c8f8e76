// [variables]: values with a name, which the rest of a study uses as "${name}". The only way into a study for
// environment variables: { environment = "NAME", default = ... }.
#pragma once

#include "experiments/syntax/value.h"

namespace orchestrate {

// Replaces "${name}" in the strings of the tree, and takes [variables] out of it. A string that is nothing but "${name}"
// becomes the variable's value: of the type that it has in the file or, where only a string can be used, as it was
// written there. Within a longer string a value stands as it was written. "$${" stands for "${". An environment variable,
// or one that --set replaces, has the type of its default or of the file's value; without one, that of its place.
// `variables_in_file`: [variables] before the command line changed it. `parameters_in_file`, which is not
// part of the tree, is replaced in too.
// Reports unknown variables, environment variables that are not set and have no default or are not UTF-8, values of
// another type, and variables given by --set that nothing uses; warns of those of the file. Returns whether there were
// any.
bool replace_variables(Value& root, const Value& variables_in_file, Value& parameters_in_file,
                       Diagnostics& diagnostics);

}  // namespace orchestrate
