// What a study says of its data file, checked against the file.
#pragma once

#include <string>
#include <vector>

#include "common/data/dataset.h"
#include "experiments/fields/fields.h"
#include "experiments/syntax/diagnostics.h"

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
    std::vector<ColumnSummary> columns;  // of all features that a variant uses
    std::int64_t dropped_rows = 0;       // since a cell is missing
};

// Reads the data once, with every feature that a variant uses, and splits it. Reports a file that is not there, unknown
// columns and classes at the place where the study names them, bad rows at their line in the data file, and parts
// without rows; warns of what was guessed, looks wrong, or leaves a class out of a part. Fields that make no difference
// to this file are unset in settings.job.data, so that equal jobs have equal identities. Facts are empty if the data
// cannot be read.
DataFacts check_data(Settings& settings, const GivenFields& given, const std::vector<ColumnMention>& features,
                     const SourceSpan& data_section, Diagnostics& diagnostics);

}  // namespace orchestrate
