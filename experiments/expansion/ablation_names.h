// Names of variants and of what they change, as users would write them; internal to ablations.
#pragma once

#include <string>
#include <vector>

#include "experiments/expansion/ablation.h"

namespace orchestrate {

struct Phrases {
    std::string name;    // "without energy, head width 16"
    std::string change;  // "data.features without energy, model.head_width = 16"
};

// Of alternatives that are made together; `after` are the settings that they lead to.
Phrases describe(const std::vector<const Alternative*>& alternatives, const Settings& after);

// "duration_ms" -> "duration": column names often end in their unit.
std::string readable_column(std::string name);

}  // namespace orchestrate
