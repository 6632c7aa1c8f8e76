// Bytes of a file that is shown on a terminal while it is read.
#pragma once

#include <string>
#include <string_view>

namespace orchestrate {

// Escapes pieces of a text (escaped_lines of results/display_width.h): lines stay lines, a carriage return begins a new one.
// Characters and line ends may be cut in two by the pieces.
class TerminalText {
  public:
    std::string add(std::string_view bytes);

    // What was held back, since it looked like the beginning of a character.
    std::string finish();

  private:
    std::string held_back_;
};

}  // namespace orchestrate
