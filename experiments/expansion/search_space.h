// [search]: what is drawn from what, and the trials. A random draw depends only on the search's seed, the number
// of the trial and the name of the field: the first n trials stay the same when n grows or another field
// joins the space.
#pragma once

#include <functional>
#include <vector>

#include "experiments/fields/assignments.h"

namespace orchestrate {

// The field is drawn only in trials where another one has one of these values.
struct Condition {
    const Field* field = nullptr;
    std::vector<std::string> values;  // as the field shows them
    SourceSpan where;
};

struct Distribution {
    enum class Kind { choice, uniform, log_uniform, integer };
    Kind kind = Kind::choice;
    const Field* field = nullptr;
    std::vector<Value> choices;  // of choice
    double low = 0;              // of the others, both ends included
    double high = 0;
    double step = 0;  // above 0: only low + n * step
    // The same of integers, which a double does not always hold.
    std::int64_t first_integer = 0;
    std::int64_t last_integer = 0;
    std::int64_t integer_step = 1;
    std::vector<Condition> when;  // all must hold; else the field keeps the base's value
    SourceSpan where;
};

// Reads [search.space]; every end and choice is checked against its field, and the whole against the method: a
// grid has finitely many values, lists that are zipped are equally long. A field comes after those that its
// conditions name.
std::vector<Distribution> read_search_space(const Value& space, SearchMethod method,
                                            const NameableFields& fields, Diagnostics& diagnostics);

// Calls `visit` for each trial, numbered from 1, with the base as that trial changes it and the fields it sets.
// A grid's last field changes first. Real numbers that are drawn are rounded to 4 significant digits (more in a range
// that these do not resolve), so that they read well and do not depend on the machine's mathematical library. Stops when `visit` returns false.
using VisitTrial =
    std::function<bool(std::int64_t trial, const Settings& drawn, const std::vector<const Field*>& set)>;
void for_each_trial(const std::vector<Distribution>& space, const Settings& base, Diagnostics& diagnostics,
                    const VisitTrial& visit);

}  // namespace orchestrate
