// The fields of [command], and those that a study makes of its [parameters]. Used by fields.cpp and load_study.cpp.
#pragma once

#include "experiments/fields/fields.h"

namespace orchestrate {

std::vector<Field> command_fields();

// One field for each value of [parameters], "parameters.learning_rate", whose type is that of the value in the file;
// the values themselves go to settings.job.command. `in_file`: the section as it was before the command line changed it.
// Reports values and names that a command cannot be given.
std::vector<Field> read_parameters(const Value& section, const Value& in_file, Settings& settings,
                                   Diagnostics& diagnostics);

}  // namespace orchestrate
