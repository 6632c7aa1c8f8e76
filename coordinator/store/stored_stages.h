// The rows of a study's stages: their variants, and the jobs they share.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include <SQLiteCpp/SQLiteCpp.h>

#include "coordinator/database/sql.h"
#include "coordinator/store/job_store.h"

namespace orchestrate {

// All inside a transaction.

// The variants of stages that the study no longer has are hidden. Returns their waiting jobs.
std::vector<std::int64_t> hide_stages_beside(StoreDatabase& database, std::int64_t study,
                                             const std::vector<Stage>& stages);

// Cancels those of these jobs that wait and that no shown variant of any study has. Returns which.
std::vector<std::int64_t> cancel_unnamed_jobs(StoreDatabase& database, const std::vector<std::int64_t>& jobs);

// What becomes of known jobs that have ended without a result.
struct FailedBefore {
    FailedBefore(OldFailures old, const std::set<std::int64_t>* meanwhile = nullptr)
        : old_failures(old), failed_meanwhile(meanwhile) {}
    OldFailures old_failures;
    const std::set<std::int64_t>*
        failed_meanwhile;  // these stay as they are; may grow between slices; null: none
};

// JobStore::sync_stage, in slices: a transaction each. Between them the variants that are not written yet are hidden; who
// begins again after a crash writes all of them anew. Not thread-safe. What it is given must outlive it.
class StageWriter {
  public:
    StageWriter(std::int64_t study, int position, const Stage& stage, const std::vector<Variant>& variants,
                const JobPaths& paths, const FailedBefore& failed_before);

    // The next variants, with `max_jobs` jobs at most, but one variant at least. To be told by committed() that the
    // transaction was committed; otherwise the next call writes the same again.
    std::vector<StoredJob> write(StoreDatabase& database, std::size_t max_jobs);
    // What write() gave, without the jobs that an earlier slice had.
    std::vector<StoredJob> committed(std::vector<StoredJob> jobs);

    bool is_done() const { return begun_ && next_variant_ == variants_.size(); }
    // By the slice that was written last.
    const std::vector<std::int64_t>& cancelled() const { return pending_.cancelled; }

  private:
    // Of a slice whose commit is not known yet.
    struct Slice {
        std::size_t next_variant = 0;
        std::vector<std::int64_t> cancelled;
    };
    void begin(StoreDatabase& database);
    void write_variant(StoreDatabase& database, std::size_t place, std::vector<StoredJob>& jobs,
                       std::vector<std::int64_t>& replaced) const;

    std::int64_t study_;
    int position_;
    const Stage& stage_;
    const std::vector<Variant>& variants_;
    std::string paths_text_;
    FailedBefore failed_before_;
    std::int64_t stage_id_ = 0;
    bool begun_ = false;
    std::size_t next_variant_ = 0;
    std::unordered_set<std::int64_t> seen_;
    Slice pending_;
};

}  // namespace orchestrate
