// Finds what a user typed: a job, or a study. With help for the mistyped.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include <SQLiteCpp/SQLiteCpp.h>

#include "common/job/ids.h"

namespace orchestrate {

struct JobReference {
    JobId job;
    std::string state;
};

struct StudyReference {
    StudyId row;
    std::string name;
};

// `typed`: the number of a job or the first characters (4 or more) of its identity. Throws UserError if there is no such
// job (saying which there are) or if several match.
JobReference find_job(SQLite::Database& database, const std::string& typed);

// Throws UserError with the nearest name if there is no such study.
StudyReference find_study(SQLite::Database& database, const std::string& typed);

// A study of that name, else a job. Throws UserError with the nearest name of a study if it is neither.
std::variant<StudyReference, JobReference> find_study_or_job(SQLite::Database& database,
                                                             const std::string& typed);

}  // namespace orchestrate
