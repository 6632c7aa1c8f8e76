// What of a command's program is part of a job's identity.
#pragma once

#include "common/job/job_config.h"

namespace orchestrate {

// Whether the program of the job's command is an absolute path of which only the file name is part of the job's identity:
// it is the same job in another virtual environment. Its identity is then not the SHA-256 of its canonical JSON. A script
// of the user's own is no such program: it stands among the command's files by its path, which counts with its content.
bool has_absolute_program(const JobConfig& config);

}  // namespace orchestrate
