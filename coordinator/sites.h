// Sites: where workers run, as the coordinator sees it. This machine is one site; every Slurm pilot is
// another.
#pragma once

#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cluster/launcher.h"
#include "common/connection.h"
#include "coordinator/site.h"

namespace orchestrate {

// How the workers of a site are started.
struct SiteOptions {
    int slots = 1;
    int threads_per_rank = 1;
    std::string device = "cpu";
    std::filesystem::path access_file;
    std::filesystem::path log_folder;
    std::chrono::milliseconds heartbeat_interval{4000};
    std::string interface;  // network interface of the traffic among the ranks of a worker
    // Numbers of GPUs, one entry per rank that they have room for; empty: they are not handed out here.
    std::vector<std::string> gpu_places = {};
    bool run_commands = false;  // workers are one process each, which runs commands of their width
};

// This machine, through a launcher; with CUDA each rank gets a place on a GPU, those of a worker on different ones.
class LauncherSite : public Site {
  public:
    LauncherSite(std::unique_ptr<Launcher> launcher, SiteOptions options);
    void start(const std::string& worker, int ranks) override;
    void stop(const std::string& worker, std::chrono::milliseconds grace) override;
    std::vector<SiteWorkerExit> take_exits() override;
    bool has_processes() const override { return !launcher_->running().empty(); }
    bool must_come_up_soon() const override { return true; }
    std::vector<std::string> running() const { return launcher_->running(); }

  private:
    std::unique_ptr<Launcher> launcher_;
    SiteOptions options_;
    std::map<std::string, std::vector<std::string>> cuda_devices_;  // by worker
    std::deque<std::string> free_gpu_places_;
    std::vector<SiteWorkerExit> failed_starts_;
};

// A pilot, through its connection.
class PilotSite : public Site {
  public:
    explicit PilotSite(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}
    void start(const std::string& worker, int ranks) override;
    void stop(const std::string& worker, std::chrono::milliseconds grace) override;
    std::vector<SiteWorkerExit> take_exits() override;
    bool has_processes() const override { return false; }
    void on_exit(const WorkerExited& message);

  private:
    std::shared_ptr<Connection> connection_;
    std::vector<SiteWorkerExit> exits_;
};

// NVIDIA GPUs of this machine, by what the driver shows under /proc; 0 without a driver.
int visible_gpus();

}  // namespace orchestrate
