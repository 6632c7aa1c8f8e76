// What a study says of its data file, checked against the file.
#pragma once

#include <string>
#include <vector>

#include "experiments/fields.h"
#include "experiments/mistakes.h"

namespace orchestrate {

// A name of a column that stands in the study, and where.
struct ColumnMention {
    std::string column;
    SourceSpan where;
};

struct DataFacts {
    std::string sha256;
    std::int64_t rows = 0;
    std::int64_t classes = 0;
};

// Reads the data once, with every feature that a variant uses. Reports a file that is not there, unknown
// columns and classes at the place where the study names them, and bad rows at their line in the data file.
// Facts are empty if the data cannot be read.
DataFacts check_data(const Settings& settings, const GivenFields& given,
                     const std::vector<ColumnMention>& features, const SourceSpan& data_section,
                     Mistakes& mistakes);

}  // namespace orchestrate
