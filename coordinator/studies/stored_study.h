// What the database has of a study, to be compared with its file and to say what running it will cost.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>

#include <SQLiteCpp/SQLiteCpp.h>

#include "coordinator/store/job_store.h"
#include "coordinator/studies/dry_run.h"
#include "experiments/study_diff.h"

namespace orchestrate {

// The rows that are shown of a study; nothing if it was never run.
std::optional<StudyRecord> stored_record(SQLite::Database& database, const std::string& study);

// The identities of all jobs that have succeeded.
std::set<std::string> jobs_with_result(SQLite::Database& database);

// What changes beside what the database has of the study, if it is run as planned; empty if it has none or nothing differs.
std::string difference_to_stored(const Study& study, SQLite::Database& database, const DryRun& planned);

// States of all jobs of the database by identity.
std::unordered_map<std::string, JobState> job_states(SQLite::Database& database);

// How far differences of macro F1 to the baseline vary from seed to seed, as a fraction.
struct DifferenceSpread {
    double deviation = 0;
    std::string basis;  // "over 12 differences of 6 variants of this study"
    double size = 0;    // of the largest value that it was computed from
};

// Of the study if it has differences over at least two seeds, pooled; else of all studies on the same data; else,
// from the spread of single jobs there, as if seeds were independent. Nothing if there is none of these. Of macro F1, or,
// of the study itself alone, of the first metric that its commands report.
std::optional<DifferenceSpread> difference_spread(SQLite::Database& database, const Study& study);

}  // namespace orchestrate
