// Random search: what is drawn from what, and the draws. A draw depends only on the search's seed, the number
// of the trial and the name of the field: the first n trials stay the same when n grows or another field
// joins the space.
#pragma once

#include <vector>

#include "experiments/assignments.h"

namespace orchestrate {

struct Distribution {
    enum class Kind { choice, uniform, log_uniform, integer };
    Kind kind = Kind::choice;
    const Field* field = nullptr;
    std::vector<Value> choices;  // of choice
    double low = 0;              // of the others, both ends included
    double high = 0;
    SourceSpan where;
};

// Reads [search.space]; every end and choice is checked against its field.
std::vector<Distribution> read_search_space(const Value& space, Mistakes& mistakes);

// `trial` counts from 1. Real numbers are rounded to 4 significant digits, so that they read well and do not
// depend on the machine's mathematical library.
Value draw(const Distribution& distribution, std::uint64_t seed, std::uint64_t trial);

}  // namespace orchestrate
