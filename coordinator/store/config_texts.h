// Reads configurations as the database has them, canonical JSON, one after the other. Jobs of one variant differ in their
// seeds alone; their text is read once. Not thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "common/job/job_config.h"

namespace orchestrate {

class ConfigTexts {
  public:
    // Throws Json::exception for what is no configuration.
    JobConfig read(std::string_view text);

  private:
    std::string last_text_;  // without its seeds
    JobConfig last_;
};

}  // namespace orchestrate
