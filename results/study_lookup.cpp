#include "results/study_lookup.h"

#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common/base/error.h"
#include "common/base/nearest_name.h"
#include "results/tables.h"

namespace orchestrate {
namespace {

struct StageRow {
    StageReference reference;
    bool has_variants = false;
};

std::vector<StageRow> stages_of(SQLite::Database& database, const std::string& study) {
    SQLite::Statement query(
        database,
        "SELECT stages.id, stages.name, EXISTS (SELECT 1 FROM variants WHERE stage_id = stages.id "
        "AND hidden = 0) "
        "FROM studies JOIN stages ON stages.study_id = studies.id "
        "WHERE studies.name = ? ORDER BY stages.position");
    query.bind(1, study);
    std::vector<StageRow> rows;
    while (query.executeStep()) {
        rows.push_back({{query.getColumn(0).getInt64(), study, query.getColumn(1).getString()},
                        query.getColumn(2).getInt() != 0});
    }
    return rows;
}

// "; did you mean 'a'? There are: a, b"
std::string names_that_exist(const std::string& typed, const std::vector<std::string>& names) {
    const auto nearest = nearest_name(typed, names);
    return fmt::format("{}There are: {}", nearest ? fmt::format("; did you mean '{}'? ", *nearest) : ". ",
                       fmt::join(names, ", "));
}

}  // namespace

std::vector<std::string> study_names(SQLite::Database& database) {
    SQLite::Statement query(database, "SELECT name FROM studies ORDER BY created_at DESC, id DESC");
    std::vector<std::string> names;
    while (query.executeStep()) {
        names.push_back(query.getColumn(0).getString());
    }
    return names;
}

StageReference find_stage(SQLite::Database& database, const std::string& study,
                          const std::optional<std::string>& stage) {
    const std::vector<StageRow> rows = stages_of(database, study);
    if (rows.empty()) {
        const std::vector<std::string> studies = study_names(database);
        if (studies.empty()) {
            throw UserError(
                fmt::format("there is no study '{}': no study was run in this database yet", study));
        }
        for (const std::string& name : studies) {
            if (name == study) {
                throw UserError(fmt::format("study '{}' has no stages yet", study));
            }
        }
        throw UserError(fmt::format("there is no study '{}' in this database", study) +
                        names_that_exist(study, studies));
    }
    if (!stage) {
        for (auto row = rows.rbegin(); row != rows.rend(); ++row) {
            if (row->has_variants) {
                return row->reference;
            }
        }
        return rows.front().reference;
    }
    std::vector<std::string> names;
    for (const StageRow& row : rows) {
        if (row.reference.stage == *stage) {
            return row.reference;
        }
        names.push_back(row.reference.stage);
    }
    throw UserError(fmt::format("study '{}' has no stage '{}'", study, *stage) +
                    names_that_exist(*stage, names));
}

}  // namespace orchestrate
