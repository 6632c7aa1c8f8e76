// The nodes of the Slurm allocation this process runs in, and which of our workers sit on them. Slurm would
// choose nodes for a step by free CPUs alone; several workers are to be spread as the pilot was planned. Not
// thread-safe.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cluster/command.h"
#include "cluster/worker_command.h"
#include "common/base/environment.h"

namespace orchestrate {

class Allocation {
  public:
    Allocation(std::string slurm_job_id, std::vector<std::string> hosts, int ranks_per_host);

    // By SLURM_JOB_ID, SLURM_JOB_NODELIST and SLURM_NTASKS_PER_NODE, and `scontrol show hostnames`. Throws
    // UserError if this is no allocation or scontrol does not answer.
    static Allocation from_environment(const Environment& environment, const CommandRunner& run);

    // Places a worker on as few hosts as have room for it, the emptiest first; if no hosts have, spread over
    // all.
    StepPlace take(const std::string& worker, int ranks);

    // Frees what a worker took; harmless if it took nothing.
    void give_back(const std::string& worker);

    const std::string& slurm_job_id() const { return slurm_job_id_; }

  private:
    struct Host {
        std::string name;
        int ranks = 0;  // ours, now
    };
    struct Share {
        std::size_t host;
        int ranks;
    };
    std::string slurm_job_id_;
    std::vector<Host> hosts_;
    int ranks_per_host_;
    std::map<std::string, std::vector<Share>> taken_;
};

}  // namespace orchestrate
