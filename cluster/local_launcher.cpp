#include <csignal>
#include <set>

#include "cluster/process_launcher.h"
#include "cluster/worker_command.h"

namespace orchestrate {

namespace {

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
        const bool with_mpi = spec.ranks > 1;
        workers_[spec.name].under_mpirun = with_mpi;
        return {with_mpi ? mpirun_arguments(spec, find_mpirun()) : worker_arguments(spec),
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

    void forget(const std::string& name) override { workers_.erase(name); }

  private:
    struct WorkerState {
        bool under_mpirun = false;
        std::set<pid_t> asked;  // those that got SIGTERM; mpirun may still be starting others
    };
    int parent_death_signal_;
    std::map<std::string, WorkerState> workers_;
};

}  // namespace

std::unique_ptr<Launcher> make_local_launcher(bool die_with_parent) {
    return std::make_unique<LocalLauncher>(die_with_parent);
}

}  // namespace orchestrate
