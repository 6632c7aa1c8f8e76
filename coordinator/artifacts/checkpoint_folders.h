// Where checkpoints lie: DATABASE.d/checkpoints/job-N/attempt-M, which all workers see. The coordinator makes and
// removes folders and files, workers only add files to the folder of their attempt; so an old attempt that wakes up
// changes nothing that its successor reads.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "common/base/durable_files.h"
#include "common/job/checkpoint.h"
#include "common/job/ids.h"
#include "common/protocol/messages.h"

namespace orchestrate {

// Whether a file of that name is a checkpoint's.
bool is_checkpoint_name(const std::string& name);

class CheckpointFolders {
  public:
    explicit CheckpointFolders(const std::filesystem::path& state_folder);
    ~CheckpointFolders();
    CheckpointFolders(const CheckpointFolders&) = delete;
    CheckpointFolders& operator=(const CheckpointFolders&) = delete;

    // Absolute; they need not exist. That of a job holds those of its attempts.
    std::filesystem::path folder(const AttemptId& attempt) const;
    std::filesystem::path job_folder(JobId job) const;

    // An attempt begins, whose folder its worker makes when it has something to write: most short jobs have not, and each
    // folder would wait twice for the disk. What a first attempt finds there is of a database that was removed, and goes.
    // An empty folder of a job that is done may become its own: some file systems make new ones slowly soon after others
    // were removed, and short commands come by the thousand.
    void begin(const AttemptId& attempt);

    // The checkpoints to go on from, the best first: `stored`, which have names of files, and those of earlier
    // attempts that were written but could not be reported any more. With absolute paths. Of a command, whose files only
    // it knows, they are the folders of earlier attempts that hold any.
    std::vector<StoredCheckpoint> candidates(const AttemptId& attempt,
                                             std::vector<StoredCheckpoint> stored) const;

    // Made at the first call, the same at every later one. Empty, with nothing to be seen, if it cannot be written.
    SharedFolderMark mark();

    // Jobs that have a folder.
    std::vector<JobId> jobs() const;

    // Removes checkpoints that are not among `kept`, which have names of files: whole and unfinished ones of earlier
    // attempts, which have ended, and older ones of the current attempt, which may have written newer ones meanwhile. Errors are ignored: what
    // is left is removed with its job's folder.
    void keep(const AttemptId& current, const std::vector<StoredCheckpoint>& kept) const;
    // Removes the folders of a command's earlier attempts, but for the newest two that hold finished files: what is older,
    // or holds none, no attempt continues from. Errors are ignored, as above.
    void keep_newest_attempts(const AttemptId& current) const;
    // No attempt of the job may run any more.
    void remove_job(JobId job);

  private:
    std::filesystem::path root_;
    SharedFolderMark mark_;  // once it was made
    // Folders of jobs that are done, each with an empty one of its first attempt.
    std::vector<std::filesystem::path> spares_;
    std::unique_ptr<DurableFiles> files_ = make_system_files();
};

}  // namespace orchestrate
