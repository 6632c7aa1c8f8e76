// The arguments of the commands that look at what runs and change it.
#pragma once

#include <memory>
#include <optional>
#include <string>

namespace CLI {
class App;
}

namespace orchestrate {

class ControlCommandLine {
  public:
    // Adds the commands to `app`, which must outlive it.
    explicit ControlCommandLine(CLI::App& app);
    ~ControlCommandLine();

    // After parsing: the exit code of the command that was given; nothing if it is none of these.
    std::optional<int> run(const std::string& program_version) const;

  private:
    struct Commands;
    std::unique_ptr<Commands> commands_;
};

}  // namespace orchestrate
