// DispatcherEnv of a dispatcher without workers: nothing is reported, kept or found. For a dry run, and for tests that
// replace only what they are about.
#pragma once

#include <string>
#include <vector>

#include "common/job/ids.h"
#include "coordinator/dispatch/dispatcher.h"

namespace orchestrate {

class IdleEnv : public DispatcherEnv {
  public:
    std::chrono::steady_clock::time_point now() override { return {}; }
    void note(const std::string& /*line*/) override {}
    bool has_ended(const std::string& /*host*/, std::int64_t /*process*/) override { return false; }
    CheckpointPlan plan_checkpoints(const AttemptId& /*attempt*/,
                                    std::vector<StoredCheckpoint> /*stored*/) override {
        return {};
    }
    void keep_checkpoints(const AttemptId& /*current*/,
                          const std::vector<StoredCheckpoint>& /*kept*/) override {}
    void remove_checkpoints(JobId /*job*/) override {}
    std::vector<JobId> jobs_with_checkpoints() override { return {}; }
    std::string allocation_state(const std::string& /*site*/) override { return {}; }
};

}  // namespace orchestrate
