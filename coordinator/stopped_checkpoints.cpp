#include "coordinator/stopped_checkpoints.h"

#include "common/folder_size.h"
#include "results/job_list.h"

namespace orchestrate {

std::vector<StoppedTrial> stopped_trials(SQLite::Database& database, const CheckpointFolders& checkpoints) {
    SQLite::Statement query(
        database,
        "SELECT id FROM jobs WHERE state = 'paused' AND NOT EXISTS (SELECT 1 FROM variant_jobs "
        "JOIN variants ON variants.id = variant_jobs.variant_id AND variants.hidden = 0 "
        "JOIN stages ON stages.id = variants.stage_id JOIN studies ON studies.id = stages.study_id "
        "WHERE variant_jobs.job_id = jobs.id AND studies.state IN ('running', 'interrupted')) ORDER BY id");
    std::vector<StoppedTrial> trials;
    while (query.executeStep()) {
        StoppedTrial trial;
        trial.job = query.getColumn(0).getInt64();
        trial.folder = checkpoints.job_folder(trial.job);
        trial.bytes = bytes_in(trial.folder);
        if (trial.bytes > 0) {
            const std::string title = describe_job(database, std::to_string(trial.job)).row.title;
            trial.title = title.empty() ? "of no study" : title;
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
