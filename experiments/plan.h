// `orchestrate plan`: the stages of a study as they would be run now, by the results that there are.
#pragma once

#include <string>
#include <vector>

#include "experiments/expansion/study.h"

namespace orchestrate {

struct PlannedStage {
    std::vector<Variant> variants;
    bool is_certain =
        true;  // false: it follows jobs that are still to be run, and is shown beside the best so far
    std::vector<std::string> start = {};  // what its baseline and rows were chosen to be; empty: the file's
};

// "plan": stages, rows and jobs as a table for a terminal of 80 columns.
std::string render_plan(const Study& study);

// The same with these stages, one for each of the study's.
std::string render_plan(const Study& study, const std::vector<PlannedStage>& planned);

}  // namespace orchestrate
