// What running a study would cost and what it could find, from the jobs that the database has.
#pragma once

#include <optional>
#include <string>

#include "coordinator/cli/study_commands.h"
#include "results/cost_estimate.h"

namespace orchestrate {

// Lines below the plan: what is done already, what an edit changed, hours and wall time, the smallest difference that
// a paired test finds. Says what it does not know.
// `calibration`: a job that was run for this; nothing: none.
std::string plan_report(const Study& study, const PlanArguments& arguments,
                        const std::optional<MeasuredJob>& calibration = {});

// The same below the plan itself (render_plan), with the stages as they would be run by what the database knows.
std::string whole_plan(const Study& study, const PlanArguments& arguments,
                       const std::optional<MeasuredJob>& calibration);

}  // namespace orchestrate
