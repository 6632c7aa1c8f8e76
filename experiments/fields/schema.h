// The JSON Schema of study files as a tree; internal to experiments/.
#pragma once

#include <string>

#include "common/base/json.h"

namespace orchestrate {

// What study_schema() prints.
Json schema_of_studies();

// "schema": a JSON Schema (draft 2020-12) of study files, so that editors can complete and check them.
std::string study_schema();

}  // namespace orchestrate
