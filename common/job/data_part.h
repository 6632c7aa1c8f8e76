// The parts that the rows of a data file are split into.
#pragma once

#include <boost/describe.hpp>

#include "common/base/json.h"

namespace orchestrate {

enum class DataPart { train, validation, test };
BOOST_DESCRIBE_ENUM(DataPart, train, validation, test)

}  // namespace orchestrate
