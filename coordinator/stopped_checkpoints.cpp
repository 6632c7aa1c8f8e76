#include "coordinator/stopped_checkpoints.h"

#include "common/folder_size.h"

namespace orchestrate {

std::vector<StoppedTrial> stopped_trials(SQLite::Database& database,
                                         const std::filesystem::path& checkpoints) {
    SQLite::Statement query(
        database,
        "SELECT jobs.id, (SELECT variants.name || ', seed ' || variant_jobs.initialization_seed FROM "
        "variant_jobs "
        "JOIN variants ON variants.id = variant_jobs.variant_id WHERE variant_jobs.job_id = jobs.id "
        "ORDER BY variants.hidden, variants.id LIMIT 1) FROM jobs WHERE jobs.state = 'paused' AND NOT EXISTS "
        "(SELECT 1 FROM variant_jobs JOIN variants ON variants.id = variant_jobs.variant_id AND "
        "variants.hidden = 0 "
        "JOIN stages ON stages.id = variants.stage_id JOIN studies ON studies.id = stages.study_id "
        "WHERE variant_jobs.job_id = jobs.id AND studies.state IN ('running', 'interrupted')) ORDER BY "
        "jobs.id");
    std::vector<StoppedTrial> trials;
    while (query.executeStep()) {
        StoppedTrial trial;
        trial.job = query.getColumn(0).getInt64();
        trial.title = query.getColumn(1).isNull() ? "of no study" : query.getColumn(1).getString();
        trial.folder = checkpoints / ("job-" + std::to_string(trial.job));
        trial.bytes = bytes_in(trial.folder);
        if (trial.bytes > 0) {
            trials.push_back(std::move(trial));
        }
    }
    return trials;
}

void remove_checkpoints(SQLite::Database& database, const std::vector<StoppedTrial>& trials) {
    SQLite::Transaction transaction(database);
    for (const auto& trial : trials) {
        SQLite::Statement remove(database, "DELETE FROM checkpoints WHERE job_id = ?");
        remove.bind(1, trial.job);
        remove.exec();
    }
    transaction.commit();
    for (const auto& trial : trials) {
        std::filesystem::remove_all(trial.folder);
    }
}

}  // namespace orchestrate
