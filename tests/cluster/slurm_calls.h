// Questions and orders to a Slurm, each waited for.
#pragma once

#include <stdexcept>
#include <string>

#include "cluster/slurm_pilot.h"

namespace orchestrate {

inline Submission submit_pilot(const PilotSpec& spec, const CommandRunner& run) {
    return read_submission(run(submission_command(write_pilot_script(spec))));
}

inline PilotStatus pilot_status(const std::string& job, const CommandRunner& run) {
    const auto in_queue = read_queue(run(queue_command(job)));
    return in_queue ? *in_queue : read_controller(run(controller_command(job)));
}

}  // namespace orchestrate
