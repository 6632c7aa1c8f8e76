// What a program is started with: variables, and the null-terminated lists that exec and posix_spawn want.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace orchestrate {

using Environment = std::map<std::string, std::string>;

// The variables of this process.
Environment current_environment();

// "NAME=value" of each.
std::vector<std::string> environment_texts(const Environment& environment);

// Into `texts`, which must outlive them, with a null pointer behind the last.
std::vector<char*> pointers_to(std::vector<std::string>& texts);

}  // namespace orchestrate
