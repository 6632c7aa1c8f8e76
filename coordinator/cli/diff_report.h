// What `orchestrate diff` prints.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace orchestrate {

// Each side is a study file, whose values `overrides` replace, or the name of a study in the database. Throws UserError or
// StudyError.
std::string diff_report(const std::string& before, const std::string& after,
                        const std::filesystem::path& database, const std::vector<std::string>& overrides);

}  // namespace orchestrate
