// "{name}" in the arguments of a command: which names stand there, and the arguments with values in their places.
#pragma once

#include <string>
#include <vector>

#include "common/job/command_config.h"

namespace orchestrate {

// The names in braces, in order; "{{" and "}}" are the braces themselves. Throws UserError for a brace without its other
// half.
std::vector<std::string> names_in_braces(const std::string& argument);

// A value of [parameters] as a word on a command line: texts as they are, all else as JSON.
std::string as_argument(const Json& value);

// The parameter of that name ("optimizer.name" lies in the table "optimizer"); null if there is none.
const Json* find_parameter(const Json& parameters, const std::string& name);

// The command line. `other_values`: what else may stand in braces, by name: {"seed": 1, "config": "/tmp/..."}. Throws
// UserError for a name that is neither.
std::vector<std::string> filled_in(const CommandConfig& command, const Json& other_values);

}  // namespace orchestrate
