// What is wrong with a study file, and where.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace orchestrate {

// One error in a study file.
struct Diagnostic {
    std::string file;
    std::int64_t line = 0;  // 1-based; 0 for what was given on the command line
    std::int64_t column = 0;
    std::string message;     // what was found, what was expected
    std::string suggestion;  // nearest valid name; may be empty
    bool is_warning = false;
    std::string source_line;  // the line it stands on, for rendering; may be empty
    std::int64_t length = 1;  // characters of that line to underline, from `column` on
};

// "file:line:column: error: message; did you mean 'x'?" followed by the source line, underlined. No final
// newline.
std::string render(const Diagnostic& diagnostic);

// Thrown with all errors of a file at once.
class StudyError : public std::runtime_error {
  public:
    explicit StudyError(std::vector<Diagnostic> diagnostics);
    const std::vector<Diagnostic>& diagnostics() const { return diagnostics_; }

  private:
    std::vector<Diagnostic> diagnostics_;
};

}  // namespace orchestrate
