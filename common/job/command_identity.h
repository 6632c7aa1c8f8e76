// What of a command's program is part of a job's identity.
#pragma once

#include "common/job/job_config.h"

namespace orchestrate {

// Whether the program of the job's command is an absolute path. Of such a path only the file name is part of the job's
// identity: it is the same job in another virtual environment. Its identity is then not the SHA-256 of its canonical JSON.
bool has_absolute_program(const JobConfig& config);

}  // namespace orchestrate
