#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <stdexcept>

#include "cluster/allocation.h"
#include "cluster/command.h"
#include "cluster/process_launcher.h"
#include "cluster/srun_output.h"
#include "cluster/worker_command.h"
#include "common/base/error.h"

namespace orchestrate {

namespace {

// srun answers SIGTERM by killing its tasks, so they are signalled through Slurm; the step is found by its name. The
// helper's exit code tells only whether the signal may have been sent. What scancel itself returns tells nothing: for a
// step that is not on all nodes of its allocation it signals the step and exits with 225, the code of an invalid job id.
constexpr const char* kSignalStep = R"(
steps=$(squeue --noheader --steps --jobs="$1" --format='%i %j') || exit 4
echo "$steps" | {
    code=3
    while read -r id name; do
        if [ "$name" = "$2" ]; then
            code=0
            case $(scancel --signal="$3" "$id" 2>&1) in *"Unable to contact"*) code=4 ;; esac
        fi
    done
    exit $code
})";
constexpr int kNoSuchStep = 3;  // not yet, or not any more

constexpr std::chrono::seconds kHelperTimeout{10};
constexpr std::chrono::seconds kKillHelperTimeout{3};
constexpr std::chrono::milliseconds kRetryInterval{500};
// A step that Slurm does not list after this long does not exist yet, so that nothing runs that could save its work.
constexpr std::chrono::seconds kStartTimeout{3};
// If srun outlives its killed step, srun itself is killed after this long.
constexpr std::chrono::seconds kSrunTimeout{20};

// The last part of a file, empty if it cannot be read.
std::string end_of_file(const std::filesystem::path& path) {
    constexpr std::streamoff kMaxLength = 65536;
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    const std::streamoff size = file ? static_cast<std::streamoff>(file.tellg()) : 0;
    const std::streamoff length = std::min(size, kMaxLength);
    std::string text(static_cast<std::size_t>(std::max<std::streamoff>(length, 0)), '\0');
    file.seekg(size - length);
    file.read(text.data(), length);
    text.resize(static_cast<std::size_t>(std::max<std::streamsize>(file.gcount(), 0)));
    return text;
}

class SrunLauncher : public ProcessLauncher {
  public:
    SrunLauncher(Allocation allocation, StepOptions options)
        : allocation_(std::move(allocation)), options_(std::move(options)) {}

  protected:
    ChildCommand command_for(const WorkerSpec& spec) override {
        const StepPlace place = allocation_.take(spec.name, spec.ranks);
        const std::filesystem::path output = spec.log_folder / (spec.name + ".out");
        steps_[spec.name] = {};
        steps_[spec.name].output = output;
        WorkerSpec without_devices = spec;  // Slurm hands them out
        without_devices.cuda_devices.clear();
        return {srun_arguments(spec, options_, place),
                worker_environment(without_devices, current_environment()),
                output,
                {},
                SIGTERM};  // a step lives no longer than its pilot
    }

    void ask_to_end(const std::string& name, const ChildProcess& srun) override {
        Step& step = steps_[name];
        const auto now = std::chrono::steady_clock::now();
        if (!step.asked_at) {
            step.asked_at = now;
            send(step, name, "TERM");
            return;
        }
        follow_helper(step);
        if (step.delivered || step.helper || now < step.send_at) {
            return;
        }
        if (step.not_listed && now - *step.asked_at > kStartTimeout) {
            step.delivered = true;
            srun.signal_group(SIGTERM);
        } else {
            send(step, name, "TERM");
        }
    }

    // The grace is over. srun ends its tasks by itself when Slurm's commands cannot.
    void kill(const std::string& name, const ChildProcess& srun) override {
        Step& step = steps_[name];
        const auto now = std::chrono::steady_clock::now();
        if (!step.killed_at) {
            step.killed_at = now;
            step.delivered = false;
            drop_helper(step);
            send(step, name, "KILL");
            return;
        }
        follow_helper(step);
        if (!step.helper && !step.delivered && !step.terminated_srun) {
            step.terminated_srun = true;
            srun.signal_group(SIGTERM);
        } else if (now - *step.killed_at > kSrunTimeout) {
            srun.kill_tree();
        }
    }

    // One rank that ends by itself makes srun kill the others, which then hides its exit code.
    WorkerExit exit_of_worker(const std::string& name, ExitStatus status) override {
        WorkerExit exit{name, status.exit_code, status.signal};
        if (status.exit_code == 0 && status.signal == 0) {
            return exit;
        }
        const Step& step = steps_[name];
        const std::string output = end_of_file(step.output);
        if (!step.asked_at) {
            exit.step_state = step_state(output);
        }
        if (status.exit_code == 128 + SIGKILL) {
            exit.exit_code = first_task_exit_code(output).value_or(exit.exit_code);
        }
        return exit;
    }

    void forget(const std::string& name) override {
        allocation_.give_back(name);
        if (const auto found = steps_.find(name); found != steps_.end()) {
            drop_helper(found->second);
            steps_.erase(found);
        }
        std::erase_if(dropped_helpers_, [](ChildProcess& helper) { return helper.poll().has_value(); });
    }

  private:
    using Time = std::chrono::steady_clock::time_point;
    struct Step {
        std::filesystem::path output;
        std::optional<Time> asked_at;
        std::optional<Time> killed_at;
        std::optional<ChildProcess> helper;
        Time helper_ends_at;
        Time send_at;            // again, if it was not delivered
        bool delivered = false;  // the newest signal, as far as is known
        bool not_listed = false;
        bool terminated_srun = false;
    };

    void send(Step& step, const std::string& name, const std::string& signal) {
        const auto now = std::chrono::steady_clock::now();
        step.send_at = now + kRetryInterval;
        step.helper_ends_at = now + (step.killed_at ? kKillHelperTimeout : kHelperTimeout);
        try {
            step.helper =
                ChildProcess::start({{"sh", "-c", kSignalStep, "sh", options_.slurm_job_id, name, signal},
                                     current_environment(),
                                     {},
                                     {},
                                     0});
        } catch (const std::exception&) {  // no process can be started now: tried again
        }
    }

    // Takes what the helper found out, once it has ended; one that hangs is killed.
    void follow_helper(Step& step) {
        if (!step.helper) {
            return;
        }
        const auto now = std::chrono::steady_clock::now();
        const std::optional<ExitStatus> status = step.helper->poll();
        if (!status) {
            if (now > step.helper_ends_at) {
                drop_helper(step);
                step.send_at = now + kRetryInterval;
            }
            return;
        }
        step.helper.reset();
        step.delivered = status->signal == 0 && status->exit_code == 0;
        step.not_listed = status->exit_code == kNoSuchStep;
        step.send_at = now + kRetryInterval;
    }

    void drop_helper(Step& step) {
        if (step.helper) {
            step.helper->signal_group(SIGKILL);
            dropped_helpers_.push_back(*step.helper);
            step.helper.reset();
        }
    }

    Allocation allocation_;
    StepOptions options_;
    std::map<std::string, Step> steps_;
    std::vector<ChildProcess> dropped_helpers_;  // killed, to be reaped
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
    if (!types.found || types.timed_out) {
        throw std::runtime_error("srun --mpi=list does not answer");
    }
    const bool slurm_has_pmix = (types.output + types.errors).find("pmix") != std::string::npos;
    const bool only_mpich = find_program("mpirun.openmpi").empty() && !find_program("mpirun.mpich").empty();
    return slurm_has_pmix && !only_mpich ? "pmix" : "pmi2";
}

}  // namespace orchestrate
