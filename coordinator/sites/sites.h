// Sites: where workers run, as the coordinator sees it. This machine is one site; every Slurm pilot is
// another.
#pragma once

#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cluster/launcher.h"
#include "common/protocol/channel.h"
#include "coordinator/sites/site.h"

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
};

// This machine, through a launcher; with CUDA each rank gets a place on a GPU, those of a worker on different ones.
class LauncherSite : public Site {
  public:
    LauncherSite(std::unique_ptr<Launcher> launcher, SiteOptions options);
    void start(const std::string& worker, const WorkerShape& shape) override;
    void stop(const std::string& worker, std::chrono::milliseconds grace) override;
    std::vector<SiteWorkerExit> take_exits() override;
    bool has_processes() const override { return !launcher_->running().empty(); }
    std::chrono::seconds start_limit() const override { return std::chrono::seconds(120); }
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
    PilotSite(ChannelToPilot channel, std::string host, std::int64_t process_id)
        : channel_(std::move(channel)), host_(std::move(host)), process_id_(process_id) {}
    const std::string& host() const { return host_; }
    std::int64_t process_id() const { return process_id_; }
    void start(const std::string& worker, const WorkerShape& shape) override;
    void stop(const std::string& worker, std::chrono::milliseconds grace) override;
    std::vector<SiteWorkerExit> take_exits() override;
    bool has_processes() const override { return false; }
    // A step may wait until Slurm has freed what the step before it used.
    std::chrono::seconds start_limit() const override { return std::chrono::seconds(600); }
    // Throws ProtocolError if it tells of more ends of workers than it may have had since the last take_exits().
    void on_exit(const WorkerExited& message);
    void beat() { channel_.send(Heartbeat{}); }
    void close() { channel_.close(); }
    // Its workers end: whether it had not said so before.
    bool leave() { return !std::exchange(leaves_, true); }

  private:
    ChannelToPilot channel_;
    std::string host_;
    std::int64_t process_id_;
    std::vector<SiteWorkerExit> exits_;
    bool leaves_ = false;
};

// NVIDIA GPUs of this machine, by what the driver shows under /proc; 0 without a driver.
int visible_gpus();

}  // namespace orchestrate
