// The fields of [cluster]. Used by fields.cpp only.
#pragma once

#include "experiments/fields.h"

namespace orchestrate {

std::vector<Field> cluster_fields();

}  // namespace orchestrate
