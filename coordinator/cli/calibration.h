// `plan --calibrate`: runs one short job of a study on this machine.
#pragma once

#include "experiments/expansion/study.h"
#include "results/cost_estimate.h"

namespace orchestrate {

// Trains it in a temporary folder, by this program, and removes that. Throws UserError with what the run said if it does not
// succeed.
MeasuredJob calibrate(const Study& study);

}  // namespace orchestrate
