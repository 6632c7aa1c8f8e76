// `include = ["common.toml"]`: a study file that is written on top of others.
#pragma once

#include <memory>

#include "experiments/syntax/value.h"

namespace orchestrate {

// The tree of a file merged with those that it includes: sections are joined key by key, the including file's values
// win, later included files win over earlier ones, and the [[ablation]] of all are kept, included ones first.
// Paths of included files count from the file that names them. Reports files that are missing, include each
// other or are no TOML. `has_includes` says whether there was any.
Value read_with_includes(std::shared_ptr<const SourceText> source, bool& has_includes,
                         Diagnostics& diagnostics);

// Reads a file's text. Throws UserError for what is no file that can be read (`why_no_file` says so before).
std::shared_ptr<const SourceText> read_source(const std::filesystem::path& file);

}  // namespace orchestrate
