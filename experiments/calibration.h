// A short job of a study, to see how long its jobs take before any has been run.
#pragma once

#include <cstdint>
#include <string>

#include "experiments/expansion/study.h"

namespace orchestrate {

inline constexpr std::int64_t kCalibrationRows = 4000;

// A study file of one job: the study's own configuration with one epoch, one seed and at most kCalibrationRows rows, on
// this machine, on one rank. Throws UserError for a study of commands, whose time follows from nothing in its file.
std::string calibration_study(const Study& study);

}  // namespace orchestrate
