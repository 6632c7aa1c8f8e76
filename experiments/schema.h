// The JSON Schema of study files as a tree; internal to experiments/.
#pragma once

#include "common/base/json.h"

namespace orchestrate {

// What study_schema() prints.
Json schema_of_studies();

}  // namespace orchestrate
