// What a command job runs: any program instead of the training that is built in. A part of JobConfig, so all of it is
// part of the job's identity. What the program is told and what it tells stands in README.md, "Your own script".
#pragma once

#include <string>
#include <vector>

#include <boost/describe.hpp>

#include "common/base/json.h"

namespace orchestrate {

// A file whose content the numbers depend on: the script itself, a module of it, its data.
struct CommandFile {
    std::string
        name;  // as the command finds it: relative to its folder; absolute: the program, if it is a script
    std::string sha256;  // of its content
    bool operator==(const CommandFile&) const = default;
};
BOOST_DESCRIBE_STRUCT(CommandFile, (), (name, sha256))

struct CommandConfig {
    // The program and its arguments. "{name}" in an argument stands for that parameter's value, "{seed}" for the seed;
    // "{{" and "}}" for the braces themselves.
    std::vector<std::string> run;
    Json parameters = Json::object();  // by name: true or false, integers, numbers, texts, lists of these
    std::vector<CommandFile> files;    // ascending by name
    bool operator==(const CommandConfig&) const = default;
};
BOOST_DESCRIBE_STRUCT(CommandConfig, (), (run, parameters, files))

}  // namespace orchestrate
