#include "coordinator/studies/study_owner.h"

namespace orchestrate {

std::optional<std::string> name_conflict(const Study& study, SQLite::Database& database) {
    SQLite::Statement query(database, "SELECT file, toml FROM studies WHERE name = ?");
    query.bind(1, study.name);
    if (!query.executeStep()) {
        return std::nullopt;
    }
    const std::filesystem::path stored_file = query.getColumn(0).getString();
    std::error_code unknown;
    const bool is_same_file =
        stored_file == study.file || std::filesystem::equivalent(stored_file, study.file, unknown);
    if (is_same_file || !std::filesystem::exists(stored_file, unknown) ||
        query.getColumn(1).getString() == study.toml) {
        return std::nullopt;
    }
    return "study '" + study.name + "' of this database is that of '" + stored_file.string() + "', and '" +
           study.file.string() +
           "' is another file: running it would take the other one's rows out of the tables. Give this one a "
           "name of "
           "its own (study.name, or --set study.name=NAME) or a database of its own (--db FILE); if it "
           "replaces the "
           "other file, move or delete that one first";
}

}  // namespace orchestrate
