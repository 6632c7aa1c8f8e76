// Errors are exceptions in every module. UserError is what the user who typed the command can fix: its message is
// complete (what was found, what was expected, what to do) and is shown without a stack of contexts; exit code 2.
// Everything else is std::runtime_error: exit code 1.
#pragma once

#include <stdexcept>
#include <string>

namespace orchestrate {

class UserError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

}  // namespace orchestrate
