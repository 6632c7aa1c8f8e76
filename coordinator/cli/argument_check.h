// Mistyped commands and options, with the nearest ones that exist. The parser of the command line would name them without,
// and beside --help not at all.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace orchestrate {

// What is wrong with the first argument that names no command or option of `app`; empty if all do. `arguments` are those of
// the program, without its name.
std::optional<std::string> unknown_argument(const CLI::App& app, const std::vector<std::string>& arguments);

}  // namespace orchestrate
