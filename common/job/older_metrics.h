// Reads the metrics of results and checkpoints that programs before protocol version 4 left on disk.
#pragma once

#include "common/base/json.h"

namespace orchestrate {

// Replaces, at every depth of `value`, what such a program wrote of an epoch or a result (`validation` and `test`, each an
// object with a field per metric, and `named`, a list) by `metrics`, a list of MetricValue. True if there was any.
bool upgrade_metrics(Json& value);

}  // namespace orchestrate
