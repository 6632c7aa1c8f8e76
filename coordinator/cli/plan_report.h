// What running a study would cost and what it could find, from the jobs that the database has.
#pragma once

#include <optional>
#include <string>

#include "experiments/expansion/study.h"
#include "results/cost_estimate.h"

namespace orchestrate {

struct PlanArguments {
    std::filesystem::path file;
    std::filesystem::path database;  // may be missing: then nothing is known of earlier jobs
    std::vector<std::string> overrides;
    bool tree = false;
    int workers = 0;                   // ranks at a time; 0: as the study says, or this machine's cores
    std::optional<double> spread;      // of differences from seed to seed, in points of macro F1
    std::optional<double> difference;  // to be found, in points
    bool calibrate = false;            // run one short job first
};

// Lines below the plan: what is done already, what an edit changed, hours and wall time, the smallest difference that
// a paired test finds. Says what it does not know.
// `calibration`: a job that was run for this; nothing: none.
std::string plan_report(const Study& study, const PlanArguments& arguments,
                        const std::optional<MeasuredJob>& calibration = {});

// The same below the plan itself (render_plan), with the stages as they would be run by what the database knows.
std::string whole_plan(const Study& study, const PlanArguments& arguments,
                       const std::optional<MeasuredJob>& calibration);

// What an edit of the file changes beside the run that the database has; empty if it has none or nothing differs.
std::string difference_to_last_run(const Study& study, const std::filesystem::path& database);

}  // namespace orchestrate
