// How a study file says which rows of a stage are chosen: "best of search by validation macro_f1", "best 5 of search",
// "top 3 of ablation", "significant of ablation"; internal to experiments/.
#pragma once

#include <optional>
#include <string>

#include "experiments/expansion/study.h"

namespace orchestrate {

struct Choice {
    std::string rule;       // "best", "top" or "significant"
    std::size_t count = 0;  // of best (1 unless said) and top
    std::string stage;
    MetricPart part = MetricPart::validation;
    std::string metric;  // as it is written: one of training's, or of a command's; empty: not said
};

// Nothing if the text is of no such form. The stage and the metric need not exist.
std::optional<Choice> parse_choice(const std::string& text);

}  // namespace orchestrate
