// `orchestrate plan --tree`.
#pragma once

#include <string>

#include "experiments/expansion/study.h"

namespace orchestrate {

// "plan --tree": stages, what each [[ablation]] makes, and its variants.
std::string render_tree(const Study& study);

}  // namespace orchestrate
