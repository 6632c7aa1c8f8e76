// The fields of [data].
#pragma once

#include <vector>

#include "experiments/fields/fields.h"

namespace orchestrate {

std::vector<Field> data_fields();

}  // namespace orchestrate
