// What names jobs, studies and attempts: in the database, in messages and in memory.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include <boost/describe.hpp>

#include "common/base/typed_id.h"

namespace orchestrate {

using JobId = TypedId<struct JobKind>;      // jobs.id
using StudyId = TypedId<struct StudyKind>;  // studies.id

// Names one execution of one job.
struct AttemptId {
    JobId job;
    std::int64_t number = 0;                             // 1, 2, ... of the job
    auto operator<=>(const AttemptId&) const = default;  // NOLINT(modernize-use-nullptr)
};
BOOST_DESCRIBE_STRUCT(AttemptId, (), (job, number))

inline std::string to_string(JobId job) {
    return std::to_string(job.value());
}

}  // namespace orchestrate
