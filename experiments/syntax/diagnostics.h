// Collects what is wrong with a study file, each error at its place, so that all can be reported at once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "experiments/syntax/diagnostic.h"

namespace orchestrate {

// A text that values come from: a study file, or one --set option of the command line.
struct SourceText {
    std::string name;              // of the file, as it was given; "command line"
    std::filesystem::path folder;  // absolute; what relative paths in it are relative to
    std::string text;
    bool is_command_line = false;
};

// A stretch of one line. Columns count characters (Unicode code points), from 1.
struct SourceSpan {
    std::shared_ptr<const SourceText> source;
    std::int64_t line = 0;  // 0: about the whole file
    std::int64_t column = 0;
    std::int64_t length = 1;
};

class Diagnostics {
  public:
    void error(const SourceSpan& where, std::string message, std::string suggestion = {});
    void warning(const SourceSpan& where, std::string message);
    void add(Diagnostic diagnostic);

    // error(...) with the nearest of the valid names as suggestion.
    void unknown_name(const SourceSpan& where, std::string message, const std::string& found,
                      std::span<const std::string> valid);

    std::size_t errors() const { return errors_; }

    // All errors (and warnings) or only the warnings, in order of file and line.
    std::vector<Diagnostic> sorted() const;

    // Throws StudyError with everything collected if there is an error.
    void throw_if_any() const;

  private:
    std::vector<Diagnostic> diagnostics_;
    std::size_t errors_ = 0;
};

// "a, b or c", for "expected ..."; of many only the first are named.
std::string join_alternatives(std::span<const std::string> names);

// "a, b and c".
std::string join_and(std::span<const std::string> names);

}  // namespace orchestrate
