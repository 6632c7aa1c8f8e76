#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <set>

#include "cluster/allocation.h"
#include "cluster/command.h"
#include "cluster/process_launcher.h"
#include "cluster/worker_command.h"
#include "common/error.h"

namespace orchestrate {

namespace {

// srun answers SIGTERM by killing its tasks, so they are signalled through Slurm. The step is found by its
// name; the helper exits with 3 if there is no such step (not yet, or no more).
constexpr const char* kSignalStep = R"(
steps=$(squeue --noheader --steps --jobs="$1" --format='%i %j') || exit 1
echo "$steps" | {
    code=3
    while read -r id name; do
        if [ "$name" = "$2" ]; then scancel --signal="$3" "$id"; code=$?; fi
    done
    exit $code
})";
constexpr int kNoSuchStep = 3;

// If Slurm does not answer, or srun outlives its step, srun itself is ended after this long.
constexpr std::chrono::seconds kPatienceWithSlurm{20};

class SrunLauncher : public ProcessLauncher {
  public:
    SrunLauncher(Allocation allocation, StepOptions options)
        : allocation_(std::move(allocation)), options_(std::move(options)) {}

  protected:
    ChildCommand command_for(const WorkerSpec& spec) override {
        const StepPlace place = allocation_.take(spec.name, spec.ranks);
        steps_[spec.name] = {};
        WorkerSpec without_devices = spec;  // Slurm hands them out
        without_devices.cuda_devices.clear();
        return {srun_arguments(spec, options_, place),
                worker_environment(without_devices, current_environment()),
                spec.log_folder / (spec.name + ".out"),
                {},
                SIGTERM};  // a step lives no longer than its pilot
    }

    void ask_to_end(const std::string& name, const ChildProcess& srun) override {
        Step& step = steps_[name];
        if (!step.asked) {
            step.asked = true;
            send(step, name, "TERM");
        } else if (helper_failed(step)) {  // nothing runs yet that could save its work
            srun.signal_group(SIGTERM);
        }
    }

    void kill(const std::string& name, const ChildProcess& srun) override {
        Step& step = steps_[name];
        const auto now = std::chrono::steady_clock::now();
        if (!step.killed_at) {
            step.killed_at = now;
            step.helper.reset();
            send(step, name, "KILL");
        } else if (helper_failed(step)) {
            srun.signal_group(SIGTERM);
        } else if (now - *step.killed_at > kPatienceWithSlurm) {
            srun.kill_tree();
        }
    }

    void forget(const std::string& name) override {
        allocation_.give_back(name);
        if (const auto found = steps_.find(name); found != steps_.end() && found->second.helper) {
            finished_helpers_.push_back(*found->second.helper);
        }
        steps_.erase(name);
        std::erase_if(finished_helpers_, [](ChildProcess& helper) { return helper.poll().has_value(); });
    }

  private:
    struct Step {
        bool asked = false;
        std::optional<std::chrono::steady_clock::time_point> killed_at;
        std::optional<ChildProcess> helper;
    };

    void send(Step& step, const std::string& name, const std::string& signal) {
        step.helper =
            ChildProcess::start({{"sh", "-c", kSignalStep, "sh", options_.slurm_job_id, name, signal},
                                 current_environment(),
                                 {},
                                 {},
                                 0});
    }

    // Whether the helper has just ended without reaching the step.
    static bool helper_failed(Step& step) {
        if (!step.helper) {
            return false;
        }
        const std::optional<ExitStatus> status = step.helper->poll();
        if (!status) {
            return false;
        }
        step.helper.reset();
        return status->signal != 0 || status->exit_code != 0;
    }

    Allocation allocation_;
    StepOptions options_;
    std::map<std::string, Step> steps_;
    std::vector<ChildProcess> finished_helpers_;  // of workers that ended first
};

}  // namespace

std::unique_ptr<Launcher> make_srun_launcher(const std::string& mpi_type, std::int64_t memory_mib_per_rank) {
    Allocation allocation = Allocation::from_environment(
        current_environment(), [](const auto& arguments) { return run_command(arguments); });
    StepOptions options{allocation.slurm_job_id(), mpi_type, memory_mib_per_rank};
    return std::make_unique<SrunLauncher>(std::move(allocation), std::move(options));
}

std::string default_srun_mpi_type() {
    const CommandResult types = run_command({"srun", "--mpi=list"});
    const bool slurm_has_pmix = (types.output + types.errors).find("pmix") != std::string::npos;
    const bool only_mpich = find_program("mpirun.openmpi").empty() && !find_program("mpirun.mpich").empty();
    return slurm_has_pmix && !only_mpich ? "pmix" : "pmi2";
}

}  // namespace orchestrate
