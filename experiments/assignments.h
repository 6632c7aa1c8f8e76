// "field = value" pairs inside [search.space] and the `set` and `sweep` of an ablation: quoted dotted keys
// ("model.head_width" = 16) and nested ones (model.head_width = 16) alike.
#pragma once

#include <vector>

#include "experiments/fields.h"

namespace orchestrate {

struct Assignment {
    const Field* field = nullptr;
    Value value;
    SourceSpan key_where;
};

// Reports keys that are no fields, and fields that hold for the whole study and so cannot vary.
std::vector<Assignment> read_assignments(const Value& table, const std::string& name, Mistakes& mistakes);

}  // namespace orchestrate
