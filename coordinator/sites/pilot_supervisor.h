// Keeps a Slurm pilot alive for a study: submits it, says what Slurm does with it, submits the next one when its time is
// up, and cancels it in the end. Slurm's commands run beside the caller, one at a time and each for at most
// kCommandTimeout; while they fail they are asked less and less often, and nothing is concluded from a failure. No call
// blocks but end_now. Not thread-safe.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "cluster/command.h"
#include "cluster/slurm_pilot.h"
#include "common/base/log.h"
#include "experiments/expansion/study.h"

namespace orchestrate {

// What PilotSupervisor sees of the world.
struct SlurmEnvironment {
    CommandStarter start_command;
    std::function<std::chrono::steady_clock::time_point()> now;
    std::function<void(const std::string&)> note;  // tells the user what happens
};

class PilotSupervisor {
  public:
    static constexpr int kMaximumIdlePilots = 3;
    static constexpr int kMaximumRefusals = 3;  // in a row, of a submission like one that was accepted before
    static constexpr std::chrono::seconds kQueryInterval{3};
    static constexpr std::chrono::seconds kMaximumQueryInterval{60};
    // How long end() waits for Slurm's commands.
    static constexpr std::chrono::seconds kEndTimeout{12};

    PilotSupervisor(const ClusterConfig& cluster, const std::filesystem::path& state_folder,
                    const std::filesystem::path& worker_access_file, Log log,
                    std::chrono::milliseconds heartbeat_interval, SlurmEnvironment environment);

    // Continues with the pilot that an earlier coordinator of this database has left, if Slurm still has it and it asks for the
    // same; one that asks for something else is cancelled. Else begins to submit the first pilot.
    void begin();

    // To be called several times a second: takes the answers of Slurm's commands, asks about the pilot every few seconds,
    // and submits another one when it has ended while work is left. Throws UserError if Slurm refuses a pilot, and
    // after kMaximumIdlePilots pilots that ended without ever connecting.
    void tick(bool work_is_left);

    // Pilots name their site "slurm-JOB".
    void pilot_connected(const std::string& site);
    void pilot_disconnected(const std::string& site);

    // Slurm's word for what became of a site ("TIMEOUT"), as far as it is known by now; empty while it runs.
    std::string end_of(const std::string& site) const;

    // What Slurm said last of the pilot that is awaited: "Slurm job 31: PENDING (Resources)"; empty if none is.
    std::string awaited_pilot() const;

    // Begins to cancel what was submitted. finish() is then called until it returns true, which it does within kEndTimeout;
    // a pilot that could not be cancelled is named to the user.
    void end();
    bool finish();

    // Both, waiting for at most `timeout`: for a program that cannot wait otherwise.
    void end_now(std::chrono::milliseconds timeout);

  private:
    using Time = std::chrono::steady_clock::time_point;
    enum class Step { none, find_earlier, cancel_earlier, submit, find, ask_queue, ask_controller, cancel };

    void submit();
    void start(Step step, const std::vector<std::string>& command);
    void take_answer(const CommandResult& result, bool work_is_left);
    void take_submission(const CommandResult& sbatch);
    void take_found(const CommandResult& squeue);
    void take_earlier(const CommandResult& squeue);
    void take_cancelled_earlier(const CommandResult& scancel);
    std::string earlier_pilot() const;
    void remember_pilot() const;
    void accept(const std::string& job, bool is_earlier = false);
    void take_status(const PilotStatus& status, bool work_is_left);
    void pilot_has_ended(bool work_is_left);
    void ask_next(bool work_is_left);
    void failed(const std::string& what);
    void answered();
    void ask_later(Time::duration interval) { ask_at_ = environment_.now() + interval; }
    void cancel_next();
    void take_cancellation(const CommandResult& scancel);
    std::string site() const { return "slurm-" + slurm_job_; }
    PilotSpec next_pilot() const;

    ClusterConfig cluster_;
    std::filesystem::path state_folder_;
    std::filesystem::path access_file_;
    std::chrono::milliseconds heartbeat_interval_;
    Log log_;
    SlurmEnvironment environment_;
    std::string run_id_;  // part of the names of this object's pilots

    Step step_ = Step::none;
    std::unique_ptr<PendingCommand> command_;  // of that step
    Time ask_at_;
    Time::duration retry_interval_{kQueryInterval};
    bool slurm_fails_ = false;  // the user has been told

    std::string earlier_;      // name of an earlier coordinator's pilot; empty: none, or its fate is settled
    PilotSpec pilot_;          // the newest
    std::string slurm_job_;    // its job; empty: it was not accepted yet, or has ended
    bool unanswered_ = false;  // it was submitted, but sbatch did not say what became of it
    bool may_be_doubled_ = false;  // sbatch did not answer once, so there may be another job of its name
    bool connected_ = false;       // once
    std::set<std::string> connected_sites_;  // now
    std::optional<Time> ended_at_;           // when Slurm said so of a pilot that is still connected
    std::string last_detail_;
    std::map<std::string, std::string> ended_sites_;  // Slurm's word for each
    int submitted_ = 0;
    int accepted_ = 0;
    int refusals_ = 0;
    int idle_pilots_ = 0;

    bool ending_ = false;
    Time end_at_;
};

}  // namespace orchestrate
