// The fields of [search], [search.space] aside. Used by fields.cpp only.
#pragma once

#include "experiments/fields/fields.h"

namespace orchestrate {

std::vector<Field> search_fields();

}  // namespace orchestrate
