// The commands of `orchestrate`, apart from the parsing of their arguments. Each returns the exit code of the
// program: 0 all well, 1 failed (some jobs failed, or something broke), 2 a mistake of the person's (thrown
// as UserError or StudyError), 130 interrupted.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "results/tables.h"

namespace orchestrate {

int run_query(const std::filesystem::path& database, const std::string& sql, OutputFormat format);

// Saved models that no study keeps any more: shown, with their sizes, or removed.
int collect_models(const std::filesystem::path& database, bool remove);

// A copy of the database as it is now, in one file, also while a study runs. Throws UserError if `destination` exists, or if
// the copy does not pass SQLite's check.
int back_up(const std::filesystem::path& database, const std::filesystem::path& destination);

int write_sample_data(const std::optional<std::filesystem::path>& destination, int rows_per_genre,
                      std::uint64_t seed);

}  // namespace orchestrate
