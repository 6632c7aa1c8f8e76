// Keeps a Slurm pilot alive for a study: submits it, says what Slurm does with it, submits the next one when
// its time is up, and cancels it in the end.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "cluster/slurm_pilot.h"
#include "common/log.h"
#include "experiments/study.h"

namespace orchestrate {

class SlurmSites {
  public:
    static constexpr int kMaximumIdlePilots = 3;

    // `note` tells the person what happens.
    SlurmSites(const ClusterConfig& cluster, const std::filesystem::path& state_folder,
               const std::filesystem::path& worker_access_file, Log log,
               std::chrono::milliseconds heartbeat_interval, std::function<void(const std::string&)> note);

    // Submits the first pilot. Throws UserError if Slurm refuses.
    void begin();

    // Looks at the pilot every few seconds; submits another one when it has ended while work is left. Throws
    // UserError after kMaximumIdlePilots pilots that ended without ever connecting.
    void tick(bool work_is_left);

    void pilot_connected() { connected_ = true; }

    // Slurm's word for what became of a site ("TIMEOUT"), asked now; empty while it runs, or if it is not known.
    std::string end_of(const std::string& site) const;

    void end();

  private:
    void submit();

    ClusterConfig cluster_;
    std::filesystem::path state_folder_;
    std::filesystem::path access_file_;
    std::chrono::milliseconds heartbeat_interval_;
    Log log_;
    std::function<void(const std::string&)> note_;
    std::string slurm_job_;
    std::string ended_job_;  // the one before
    std::string last_detail_;
    int submitted_ = 0;
    int idle_pilots_ = 0;
    bool connected_ = false;
    std::chrono::steady_clock::time_point looked_at_;
};

}  // namespace orchestrate
