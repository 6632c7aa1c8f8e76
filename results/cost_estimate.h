// What jobs will cost, from the jobs that the database has: seconds and device hours, and the wall time on so many
// workers. Honest about what it rests on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <SQLiteCpp/SQLiteCpp.h>

#include "common/job/job_config.h"

namespace orchestrate {

// An earlier job that succeeded.
struct MeasuredJob {
    JobConfig config;
    double seconds = 0;
    int ranks = 1;
    std::string device_class;
};

// Jobs to come, in the order in which they are handed out; a stage begins when the one before it is done.
struct PlannedJob {
    JobConfig config;
    int ranks = 1;
    int stage = 0;
    std::int64_t count = 1;  // so many jobs, which differ in nothing but their seeds and splits
};

struct Range {
    double low = 0;
    double likely = 0;
    double high = 0;
};

struct CostEstimate {
    Range rank_hours;        // hours of one CPU share or GPU
    Range wall_hours;        // on the workers asked for
    std::size_t same = 0;    // jobs estimated from the same configuration with another seed or split
    std::size_t scaled = 0;  // jobs estimated from another configuration, scaled by its amount of work
    std::string device_class;
};

// Every succeeded job of the database. Those whose configuration this version does not understand are left out.
std::vector<MeasuredJob> measured_jobs(SQLite::Database& database);

// Multiply-adds of a training in proportion: epochs x rows x words of a text x weights that a word meets. `all_rows`
// is what max_rows = 0 stands for.
double amount_of_work(const JobConfig& config, std::int64_t all_rows);

// From jobs of the device class that most of `measured` ran on. A job that was run with other seeds takes as long as
// those did; others are scaled by amount_of_work from the measured job that is nearest to it, within a factor of
// 1.5, and more the farther it is. Nothing if none was measured.
std::optional<CostEstimate> estimate_cost(const std::vector<PlannedJob>& planned,
                                          const std::vector<MeasuredJob>& measured, std::int64_t all_rows,
                                          int ranks_at_a_time);

}  // namespace orchestrate
