// The rows of a study's stages: their variants, and the jobs they share.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include <SQLiteCpp/SQLiteCpp.h>

#include "common/job/ids.h"
#include "coordinator/database/sql.h"
#include "coordinator/store/job_store.h"

namespace orchestrate {

// All inside a transaction.

// The variants of stages that the study no longer has are hidden. Returns their waiting jobs.
std::vector<JobId> hide_stages_beside(StoreDatabase& database, StudyId study,
                                      const std::vector<Stage>& stages);

// Cancels those of these jobs that wait and that no shown variant of any study has. Returns which.
std::vector<JobId> cancel_unnamed_jobs(StoreDatabase& database, const std::vector<JobId>& jobs);

// A job as the database has it since a slice was written.
struct WrittenJob {
    JobId id;
    Job job;
};

// What becomes of known jobs that have ended without a result.
struct FailedBefore {
    FailedBefore(OldFailures old, const std::set<JobId>* meanwhile = nullptr)
        : old_failures(old), failed_meanwhile(meanwhile) {}
    OldFailures old_failures;
    const std::set<JobId>* failed_meanwhile;  // these stay as they are; may grow between slices; null: none
};

// JobStore::sync_stage, in slices: a transaction each. Between them the variants that are not written yet are hidden; who
// begins again after a crash writes all of them anew. Not thread-safe. What it is given must outlive it.
class StageWriter {
  public:
    StageWriter(StudyId study, int position, const Stage& stage, const std::vector<Variant>& variants,
                const JobPaths& paths, const FailedBefore& failed_before);

    // Hides the variants that there are, writes those of the study, cancels jobs of those that stay hidden: in all
    // `max_rows` rows at most, of variants that are hidden, or of jobs. To be told by committed() that the transaction was
    // committed; otherwise the next call does the same again. Returns the jobs that were written.
    std::vector<WrittenJob> write(StoreDatabase& database, std::size_t max_rows);
    // Of what write() gave, the jobs that come for the first time. The others keep the title they got then: it is cleared.
    std::vector<JobId> committed(std::vector<WrittenJob>& written);

    bool is_done() const { return position_now_.step == Step::done; }
    // By the slice that was written last.
    const std::vector<JobId>& cancelled() const { return pending_.cancelled; }

  private:
    enum class Step { begin, hide, write, cancel, done };
    // How far it is.
    struct Position {
        Step step = Step::begin;
        std::string name;         // hide, cancel: of the last variant that was gone through
        std::size_t variant = 0;  // write: the next, and its next run
        std::size_t run = 0;
        std::int64_t variant_id = 0;       // write, cancel: of one that is gone through in part; 0: none is
        bool had_jobs = false;             // write: that variant was there before
        std::int64_t last_seed_index = 0;  // cancel: of that variant
    };
    // Of a slice whose commit is not known yet.
    struct Slice {
        Position position;
        std::vector<JobId> cancelled;
        std::vector<JobId> replaced;  // jobs that a variant no longer has
        std::size_t rows_left = 0;
    };
    void begin(StoreDatabase& database);
    void hide(StoreDatabase& database, Slice& slice) const;
    void write_runs(StoreDatabase& database, Slice& slice, std::vector<WrittenJob>& jobs) const;
    void begin_variant(StoreDatabase& database, Position& position) const;
    void write_run(StoreDatabase& database, Slice& slice, std::vector<WrittenJob>& jobs) const;
    void end_variant(StoreDatabase& database, Slice& slice) const;
    void look_for_jobs_to_cancel(StoreDatabase& database, Slice& slice) const;

    StudyId study_;
    int position_;
    const Stage& stage_;
    const std::vector<Variant>& variants_;
    std::string paths_text_;
    FailedBefore failed_before_;
    std::int64_t stage_id_ = 0;
    Position position_now_;
    std::unordered_set<JobId> seen_;
    Slice pending_;
};

}  // namespace orchestrate
