// Running out of memory, on a CPU or a GPU, told apart from other errors.
#pragma once

#include <functional>
#include <optional>
#include <stdexcept>
#include <string>

namespace orchestrate {

// Some rank has run out of memory; thrown on every rank.
class OutOfMemory : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// Runs `work`. What the allocator said if it lacked memory; nullopt if `work` was done. Every other exception
// passes through.
std::optional<std::string> memory_shortage_in(const std::function<void()>& work);

}  // namespace orchestrate
