// What tables call a metric.
#pragma once

#include <string>

namespace orchestrate {

// Short titles for those of trainings ("macro P", "ROC AUC"); other names as they are.
std::string metric_title(const std::string& name);

}  // namespace orchestrate
