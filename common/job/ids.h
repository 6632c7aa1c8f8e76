// What names attempts: in the database, in messages and in memory.
#pragma once

#include <compare>
#include <cstdint>

#include <boost/describe.hpp>

namespace orchestrate {

// Names one execution of one job.
struct AttemptId {
    std::int64_t job = 0;
    std::int64_t number = 0;
    auto operator<=>(const AttemptId&) const = default;
};
BOOST_DESCRIBE_STRUCT(AttemptId, (), (job, number))

}  // namespace orchestrate
