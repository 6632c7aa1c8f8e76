// What the launchers share: each worker is one child process here (the worker itself, mpirun or
// srun), and they differ in its command line and in how its ranks are asked to end.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cluster/child_process.h"
#include "cluster/launcher.h"

namespace orchestrate {

class ProcessLauncher : public Launcher {
  public:
    void start(const WorkerSpec& spec) override;
    void stop(const std::string& name, std::chrono::milliseconds grace) override;
    std::vector<WorkerExit> poll() override;
    std::vector<std::string> running() const override;

  protected:
    using Time = std::chrono::steady_clock::time_point;

    // The child process that is the worker, or that holds it.
    virtual ChildCommand command_for(const WorkerSpec& spec) = 0;

    // Called by stop() and then by each poll() until the worker has ended.
    virtual void ask_to_end(const std::string& name, const ChildProcess& process) = 0;

    // Called by each poll() once the grace is over.
    virtual void kill(const std::string& name, const ChildProcess& process) = 0;

    // Called by each poll() while the worker runs.
    virtual void watch(const std::string& /*name*/, const ChildProcess& /*process*/) {}

    // How the worker ended, given how its child process did.
    virtual WorkerExit exit_of_worker(const std::string& name, ExitStatus status) {
        return {name, status.exit_code, status.signal};
    }

    // The worker is gone, or did not start: forget what was kept about it.
    virtual void forget(const std::string& name) = 0;

  private:
    struct Worker {
        ChildProcess process;
        std::optional<Time> kill_at;  // set once it was asked to end
    };
    std::map<std::string, Worker> workers_;
};

}  // namespace orchestrate
