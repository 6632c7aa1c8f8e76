// The text of a study put together: a file, what it includes, what the command line replaces, and its variables in their
// places; and written back as one file that means the same anywhere.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "experiments/syntax/diagnostics.h"
#include "experiments/syntax/value.h"

namespace orchestrate {

struct ComposedStudy {
    std::shared_ptr<const SourceText> source;  // the file itself
    Value root;
    Value parameters_in_file;  // [parameters] before the command line changed them
    bool is_composed = false;  // of more than the file's own text
};

// Throws StudyError if it cannot be read.
std::shared_ptr<const SourceText> read_study_source(const std::filesystem::path& file);

// `overrides`: "field=value" of the command line. Throws StudyError with what would make every other error a
// consequence: what is no TOML, an include that is missing, an unknown variable.
ComposedStudy compose_study(std::shared_ptr<const SourceText> source,
                            const std::vector<std::string>& overrides, Diagnostics& diagnostics);

// All of it as one file, with every path absolute; `command_folder`: where its command runs.
std::string canonical_toml(const ComposedStudy& study, const std::string& command_folder);

}  // namespace orchestrate
