// Text tables for terminals and pipes, and the comparison table of a study, read from the views.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <optional>
#include <string>
#include <vector>

namespace orchestrate {

// Columns padded to their widest cell (in terminal columns, not bytes), numbers right-aligned, a rule under the header.
// With `max_width` > 0, the widest text columns are shortened with an ellipsis so that lines fit.
std::string render_text_table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows,
                              std::size_t max_width);

// The comparison of the last stage of a study (or of `stage`): per variant accuracy, macro precision, macro recall and
// macro F1 as mean +- standard deviation over seeds (in %), difference of macro F1 to the baseline, jobs succeeded of
// all; with notes below (jobs not done, mixed device classes, leaks between parts).
// Throws UserError if there is no such study or stage, with the nearest name.
std::string render_comparison(SQLite::Database& database, const std::string& study,
                              const std::optional<std::string>& stage, std::size_t max_width);

// Names of all studies in the database, newest first.
std::vector<std::string> study_names(SQLite::Database& database);

// Any read-only SQL as a table. Throws UserError with SQLite's message if it is no valid query or would write.
std::string render_query(SQLite::Database& database, const std::string& sql, std::size_t max_width);

}  // namespace orchestrate
