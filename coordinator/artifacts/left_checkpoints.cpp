#include "coordinator/artifacts/left_checkpoints.h"

#include <algorithm>

#include "common/base/folder_size.h"
#include "results/job_list.h"

namespace orchestrate {
namespace {

// Why nothing continues from the checkpoints of a job; empty: something will.
std::string reason_of(SQLite::Database& database, JobId job) {
    SQLite::Statement query(
        database,
        "SELECT state, coalesce((SELECT cause FROM attempts WHERE job_id = jobs.id ORDER BY number DESC "
        "LIMIT 1), ''), "
        "EXISTS (SELECT 1 FROM variant_jobs "
        "JOIN variants ON variants.id = variant_jobs.variant_id AND variants.hidden = 0 "
        "JOIN stages ON stages.id = variants.stage_id JOIN studies ON studies.id = stages.study_id "
        "WHERE variant_jobs.job_id = jobs.id AND studies.state IN ('running', 'interrupted')) "
        "FROM jobs WHERE id = ?");
    query.bind(1, job.value());
    if (!query.executeStep()) {
        return "no such job";
    }
    const std::string state = query.getColumn(0).getString();
    const std::string cause = query.getColumn(1).getString();
    if (state == "waiting" || state == "running") {
        return "";
    }
    if (state == "paused") {
        return query.getColumn(2).getInt() != 0 ? "" : "stopped early";
    }
    return state == "failed" && !cause.empty() ? "failed (" + cause + ")" : state;
}

std::int64_t bytes_of_job(const std::filesystem::path& folder) {
    std::error_code ignored;  // a symbolic link leads to what is not ours
    return std::filesystem::is_directory(std::filesystem::symlink_status(folder, ignored)) ? bytes_in(folder)
                                                                                           : 0;
}

}  // namespace

std::vector<LeftCheckpoints> left_checkpoints(SQLite::Database& database,
                                              const CheckpointFolders& checkpoints) {
    std::vector<LeftCheckpoints> found;
    auto jobs = checkpoints.jobs();
    std::sort(jobs.begin(), jobs.end());
    for (const JobId job : jobs) {
        LeftCheckpoints left;
        left.job = job;
        left.folder = checkpoints.job_folder(job);
        left.bytes = bytes_of_job(left.folder);
        left.reason = left.bytes > 0 ? reason_of(database, job) : "";
        if (left.reason.empty()) {
            continue;
        }
        if (left.reason != "no such job") {
            left.title = describe_job(database, to_string(job)).row.title;
        }
        left.title = left.title.empty() ? "of no study" : left.title;
        found.push_back(std::move(left));
    }
    return found;
}

NeededCheckpoints needed_checkpoints(SQLite::Database& database, const CheckpointFolders& checkpoints) {
    NeededCheckpoints needed;
    for (const JobId job : checkpoints.jobs()) {
        const std::int64_t bytes = bytes_of_job(checkpoints.job_folder(job));
        if (bytes > 0 && reason_of(database, job).empty()) {
            ++needed.jobs;
            needed.bytes += bytes;
        }
    }
    return needed;
}

void remove_checkpoints(SQLite::Database& database, const std::vector<LeftCheckpoints>& left) {
    SQLite::Transaction transaction(database);
    for (const auto& checkpoints : left) {
        SQLite::Statement remove(database, "DELETE FROM checkpoints WHERE job_id = ?");
        remove.bind(1, checkpoints.job.value());
        remove.exec();
    }
    transaction.commit();
    for (const auto& checkpoints : left) {
        std::filesystem::remove_all(checkpoints.folder);
    }
}

}  // namespace orchestrate
