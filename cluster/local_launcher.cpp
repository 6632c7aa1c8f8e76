#include <csignal>
#include <optional>
#include <set>

#include "cluster/process_launcher.h"
#include "cluster/worker_command.h"

namespace orchestrate {

namespace {

constexpr std::chrono::milliseconds kLookInterval{500};

// mpirun answers SIGTERM by killing its ranks a second later, however long they need to save their work. So
// the ranks get the signal from here, and mpirun ends when they have ended.
void add_ranks_below(pid_t pid, std::vector<pid_t>& ranks) {
    for (const pid_t child : children_of(pid)) {
        if (process_name(child) == "hydra_pmi_proxy") {  // MPICH's, between mpirun and the ranks
            add_ranks_below(child, ranks);
        } else {
            ranks.push_back(child);
        }
    }
}

class LocalLauncher : public ProcessLauncher {
  public:
    explicit LocalLauncher(bool die_with_parent) : parent_death_signal_(die_with_parent ? SIGTERM : 0) {}

  protected:
    ChildCommand command_for(const WorkerSpec& spec) override {
        const bool with_mpi = spec.ranks > 1 && !spec.is_one_process;
        WorkerState& worker = workers_[spec.name];
        worker.under_mpirun = with_mpi;
        worker.expected_ranks = static_cast<std::size_t>(spec.ranks);
        if (with_mpi && !mpirun_) {
            mpirun_ = find_mpirun();
        }
        return {with_mpi ? mpirun_arguments(spec, *mpirun_) : worker_arguments(spec),
                worker_environment(spec, current_environment()),
                spec.log_folder / (spec.name + ".out"),
                {},
                parent_death_signal_};
    }

    void ask_to_end(const std::string& name, const ChildProcess& process) override {
        WorkerState& worker = workers_[name];
        if (!worker.under_mpirun) {
            if (worker.asked.insert(process.pid()).second) {
                process.signal_group(SIGTERM);
            }
            return;
        }
        std::vector<pid_t> ranks;
        add_ranks_below(process.pid(), ranks);
        for (const pid_t rank : ranks) {
            if (worker.asked.insert(rank).second) {
                ::kill(rank, SIGTERM);
            }
        }
    }

    void kill(const std::string& /*name*/, const ChildProcess& process) override { process.kill_tree(); }

    // Ranks have process groups of their own. While mpirun lives it ends them; one that it left behind, as a stopped
    // one when mpirun itself was killed, would stay for ever.
    void watch(const std::string& name, const ChildProcess& process) override {
        WorkerState& worker = workers_[name];
        const auto now = std::chrono::steady_clock::now();
        if (!worker.under_mpirun || worker.ranks.size() >= worker.expected_ranks || now < worker.look_at) {
            return;
        }
        worker.look_at = now + kLookInterval;
        std::vector<pid_t> ranks;
        add_ranks_below(process.pid(), ranks);
        worker.ranks.clear();
        for (const pid_t rank : ranks) {
            if (const auto identity = identity_of(rank)) {
                worker.ranks.push_back(*identity);
            }
        }
    }

    // MPICH's mpirun returns the bare number of a signal that ended a rank, Open MPI's 128 more, as shells do. Workers
    // themselves return no such small number but 0, 1 and 2.
    WorkerExit exit_of_worker(const std::string& name, ExitStatus status) override {
        const bool bare_signal = status.exit_code > 2 && status.exit_code < SIGRTMIN;
        const int offset = workers_[name].under_mpirun && bare_signal ? 128 : 0;
        return {name, offset + status.exit_code, status.signal};
    }

    void forget(const std::string& name) override {
        for (const ProcessIdentity& rank : workers_[name].ranks) {
            signal_process(rank, SIGKILL);
        }
        workers_.erase(name);
    }

  private:
    struct WorkerState {
        bool under_mpirun = false;
        std::size_t expected_ranks = 1;
        std::vector<ProcessIdentity> ranks;             // as far as they have been seen
        std::chrono::steady_clock::time_point look_at;  // for them again
        std::set<pid_t> asked;  // those that got SIGTERM; mpirun may still be starting others
    };
    int parent_death_signal_;
    std::optional<Mpirun> mpirun_;  // once it was needed
    std::map<std::string, WorkerState> workers_;
};

}  // namespace

std::unique_ptr<Launcher> make_local_launcher(bool die_with_parent) {
    return std::make_unique<LocalLauncher>(die_with_parent);
}

}  // namespace orchestrate
