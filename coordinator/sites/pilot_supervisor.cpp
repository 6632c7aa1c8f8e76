#include "coordinator/sites/pilot_supervisor.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <random>
#include <thread>
#include <utility>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/host.h"
#include "common/base/json.h"
#include "common/protocol/access_file.h"
#include "common/protocol/message_checks.h"

namespace orchestrate {

using namespace std::chrono_literals;

namespace {

// How long a connection may outlive an allocation that has ended.
constexpr auto kDisconnectTimeout = 60s;

// In the state folder: the name of the newest pilot, and the identity of the database it was submitted for.
constexpr const char* kPilotFile = "pilot.json";

// The batch script that was submitted; empty if it cannot be read.
std::string submitted_script(const PilotSpec& spec) {
    std::ifstream file(spec.script_folder / (spec.name + ".sbatch"), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

// What to do about a pilot that waits for a reason that does not pass by itself; else empty.
std::string hint_at(const std::string& detail) {
    for (const auto& [reason, key] :
         {std::pair{"(PartitionNodeLimit", "nodes"}, std::pair{"(PartitionTimeLimit", "time_limit"}}) {
        if (detail.find(reason) != std::string::npos) {
            return std::string("; [cluster] ") + key +
                   " is more than the partition allows (scontrol show partition), so it does not start";
        }
    }
    return {};
}

// Tells the pilots of this coordinator from those of all others on the cluster, also on hosts with equal process ids.
std::string new_run_id() {
    return fmt::format("{}-{:08x}", getpid(), std::random_device()());
}

std::string command_is_missing(const std::string& what) {
    return what +
           ": run this where Slurm's commands are (a login node; on Debian they are in the package "
           "slurm-client)";
}

}  // namespace

PilotSupervisor::PilotSupervisor(const ClusterConfig& cluster, const std::filesystem::path& state_folder,
                                 const std::filesystem::path& worker_access_file, Log log,
                                 std::chrono::milliseconds heartbeat_interval, SlurmEnvironment environment)
    : cluster_(cluster),
      state_folder_(std::filesystem::absolute(state_folder)),
      access_file_(std::filesystem::absolute(worker_access_file)),
      heartbeat_interval_(heartbeat_interval),
      log_(std::move(log)),
      environment_(std::move(environment)),
      run_id_(new_run_id()) {}

void PilotSupervisor::begin() {
    earlier_ = earlier_pilot();
    if (earlier_.empty()) {
        submit();
    } else {
        start(Step::find_earlier, find_command(earlier_));
    }
}

// Empty if there is none, or if it belongs to another database: this one is a copy.
std::string PilotSupervisor::earlier_pilot() const {
    try {
        std::ifstream file(state_folder_ / kPilotFile);
        if (!file) {
            return {};
        }
        const Json record = Json::parse(file);
        const std::string name = record.at("pilot").get<std::string>();
        const bool is_ours =
            record.at("database").get<std::string>() == read_access_file(access_file_).database_id;
        return is_ours && is_valid_name(name) && name.starts_with("pilot-") ? name : "";
    } catch (const std::exception& error) {
        log_->warn("what pilot an earlier coordinator has submitted cannot be read: {}", error.what());
        return {};
    }
}

// Before it is submitted, so that whoever comes after this coordinator finds it in any case.
void PilotSupervisor::remember_pilot() const {
    try {
        const Json record{{"pilot", pilot_.name}, {"database", read_access_file(access_file_).database_id}};
        const std::filesystem::path file = state_folder_ / kPilotFile;
        std::filesystem::path temporary = file;
        temporary += ".new";
        std::ofstream stream(temporary);
        stream << record.dump() << "\n";
        stream.close();
        if (!stream) {
            throw std::runtime_error("cannot write '" + temporary.string() + "'");
        }
        std::filesystem::rename(temporary, file);
    } catch (const std::exception& error) {
        log_->warn("the name of pilot {} is not kept for a later coordinator: {}", pilot_.name, error.what());
    }
}

void PilotSupervisor::take_earlier(const CommandResult& squeue) {
    const auto jobs = read_found(squeue);
    if (!jobs && squeue.found) {
        failed(
            "whether the pilot of an earlier coordinator still runs is not known yet: squeue does not "
            "answer");
        return;
    }
    if (!jobs || jobs->empty()) {
        earlier_.clear();
        submit();
        return;
    }
    answered();
    PilotSpec same = next_pilot();
    same.name = earlier_;
    if (submitted_script(same) != pilot_script(same)) {
        environment_.note("the pilot of an earlier coordinator, Slurm job " + jobs->front() +
                          ", does not ask for what this study does: it is cancelled");
        start(Step::cancel_earlier, cancel_by_name_command(earlier_));
        return;
    }
    earlier_.clear();
    pilot_ = std::move(same);
    may_be_doubled_ = jobs->size() > 1;
    accept(jobs->front(), true);
}

void PilotSupervisor::take_cancelled_earlier(const CommandResult& scancel) {
    if (const std::string problem = read_cancellation(scancel); !problem.empty()) {
        log_->warn("{}", problem);
    }
    earlier_.clear();
    submit();
}

PilotSpec PilotSupervisor::next_pilot() const {
    const bool cuda = cluster_.device == DeviceChoice::cuda;
    PilotSpec spec;
    spec.name = fmt::format("pilot-{}-{}", run_id_, submitted_);
    spec.nodes = cluster_.nodes;
    spec.ranks_per_node = std::max(1, cluster_.slots);
    spec.threads_per_rank = std::max(1, cluster_.threads_per_rank);
    spec.gpus_per_node = cuda ? spec.ranks_per_node : 0;
    spec.memory_mib_per_rank =
        cluster_.memory_mib_per_rank > 0 ? cluster_.memory_mib_per_rank : kSlurmMemoryMib;
    spec.partition = cluster_.partition;
    spec.account = cluster_.account;
    spec.time_limit = cluster_.time_limit;
    spec.sbatch_options = cluster_.sbatch_options;
    spec.script_folder = state_folder_ / "logs";
    spec.command = {(program_folder() / "orchestrate").string(),
                    "pilot",
                    "--access",
                    access_file_.string(),
                    "--slots",
                    std::to_string(spec.nodes * spec.ranks_per_node),
                    "--threads",
                    std::to_string(spec.threads_per_rank),
                    "--device",
                    cuda ? "cuda" : "cpu",
                    "--mpi",
                    cluster_.mpi,
                    "--memory-per-rank",
                    std::to_string(spec.memory_mib_per_rank),
                    "--log-folder",
                    spec.script_folder.string(),
                    "--heartbeat",
                    fmt::format("{}", std::chrono::duration<double>(heartbeat_interval_).count())};
    if (!cluster_.interface.empty()) {
        spec.command.insert(spec.command.end(), {"--interface", cluster_.interface});
    }
    return spec;
}

void PilotSupervisor::start(Step step, const std::vector<std::string>& command) {
    step_ = step;
    command_ = environment_.start_command(command);
}

// A new pilot, or the same again that Slurm did not take.
void PilotSupervisor::submit() {
    if (pilot_.name.empty()) {
        ++submitted_;
        pilot_ = next_pilot();
        remember_pilot();
    }
    try {
        start(Step::submit, submission_command(write_pilot_script(pilot_)));
        unanswered_ = true;  // until sbatch says otherwise
    } catch (const UserError&) {
        throw;
    } catch (const std::exception& error) {
        failed(error.what());
    }
}

void PilotSupervisor::accept(const std::string& job, bool is_earlier) {
    slurm_job_ = job;
    unanswered_ = false;
    refusals_ = 0;
    ++accepted_;
    connected_ = connected_sites_.contains(site());
    ended_at_.reset();
    last_detail_.clear();
    environment_.note((is_earlier ? "continues with pilot " : "submitted pilot ") + pilot_.name +
                      (is_earlier ? " of an earlier coordinator, Slurm job " : " as Slurm job ") +
                      slurm_job_ + ": " + std::to_string(pilot_.nodes) + " node(s), " +
                      std::to_string(pilot_.ranks_per_node) + " rank(s) on each");
    ask_later(kQueryInterval);
}

void PilotSupervisor::take_submission(const CommandResult& sbatch) {
    const Submission submission = read_submission(sbatch);
    if (submission.state == Submission::State::accepted) {
        answered();
        accept(submission.job);
        return;
    }
    const std::string script = (pilot_.script_folder / (pilot_.name + ".sbatch")).string();
    if (submission.state == Submission::State::refused) {
        unanswered_ = false;
        ++refusals_;
        if (accepted_ == 0 || refusals_ >= kMaximumRefusals) {
            throw UserError(
                sbatch.found
                    ? "Slurm refused the pilot " + pilot_.name + ". sbatch said: " + submission.text +
                          "\nThe request is stored in " + script +
                          "; check partition, account, time limit, memory and GPUs under [cluster] in the "
                          "study file against `sinfo` and `scontrol show partition`"
                    : command_is_missing("cannot submit the pilot " + pilot_.name +
                                         ": there is no sbatch in PATH"));
        }
    }
    may_be_doubled_ = may_be_doubled_ || unanswered_;
    failed("the pilot is not submitted yet (sbatch: " + submission.text + ")");
}

// Whether a submission without an answer has made a job nevertheless.
void PilotSupervisor::take_found(const CommandResult& squeue) {
    const auto jobs = read_found(squeue);
    if (!jobs) {
        failed("whether the pilot was submitted is not known yet: squeue does not answer");
        return;
    }
    unanswered_ = false;
    if (jobs->empty()) {
        submit();
    } else {
        answered();
        accept(jobs->front());
    }
}

// What Slurm's commands fail at is said once, until they answer again.
void PilotSupervisor::failed(const std::string& what) {
    log_->warn("{}; asking again in {}", what,
               std::chrono::duration_cast<std::chrono::seconds>(retry_interval_));
    if (!slurm_fails_) {
        slurm_fails_ = true;
        environment_.note(what + "; it is tried again, and what runs continues");
    }
    ask_later(retry_interval_);
    retry_interval_ = std::min<Time::duration>(2 * retry_interval_, kMaximumQueryInterval);
}

void PilotSupervisor::answered() {
    if (std::exchange(slurm_fails_, false)) {
        environment_.note("Slurm answers again");
    }
    retry_interval_ = kQueryInterval;
}

void PilotSupervisor::take_status(const PilotStatus& status, bool work_is_left) {
    if (status.state == PilotState::unknown) {
        failed("what became of Slurm job " + slurm_job_ + " is not known at the moment (" + status.detail +
               ")");
        return;
    }
    answered();
    ask_later(kQueryInterval);
    if (status.detail != last_detail_) {
        last_detail_ = status.detail;
        log_->info("Slurm job {}: {}", slurm_job_, status.detail);
        if (!connected_ || status.state == PilotState::ended) {
            environment_.note("Slurm job " + slurm_job_ + ": " + status.detail + hint_at(status.detail));
        }
    }
    if (status.state != PilotState::ended) {
        ended_sites_.erase(site());
        ended_at_.reset();
        return;
    }
    ended_sites_[site()] = status.detail.substr(0, status.detail.find(' '));
    // A pilot that is still connected is not replaced: its connection ends soon, or Slurm is mistaken.
    ended_at_ = ended_at_.value_or(environment_.now());
    if (!connected_sites_.contains(site()) || environment_.now() - *ended_at_ > kDisconnectTimeout) {
        pilot_has_ended(work_is_left);
    }
}

void PilotSupervisor::pilot_has_ended(bool work_is_left) {
    idle_pilots_ = connected_ ? 0 : idle_pilots_ + 1;
    slurm_job_.clear();
    pilot_ = {};
    may_be_doubled_ = false;
    if (idle_pilots_ >= kMaximumIdlePilots) {
        throw UserError("pilots end without connecting; look at their output in '" +
                        (state_folder_ / "logs").string() + "'");
    }
    if (work_is_left) {
        submit();
    }
}

void PilotSupervisor::take_answer(const CommandResult& result, bool work_is_left) {
    switch (std::exchange(step_, Step::none)) {
        case Step::none:
            return;
        case Step::find_earlier:
            return take_earlier(result);
        case Step::cancel_earlier:
            return take_cancelled_earlier(result);
        case Step::submit:
            return take_submission(result);
        case Step::find:
            return take_found(result);
        case Step::ask_queue:
            if (const auto status = read_queue(result)) {
                return take_status(*status, work_is_left);
            }
            return start(Step::ask_controller, controller_command(slurm_job_));
        case Step::ask_controller:
            return take_status(read_controller(result), work_is_left);
        case Step::cancel:
            return take_cancellation(result);
    }
}

void PilotSupervisor::ask_next(bool work_is_left) {
    if (environment_.now() < ask_at_) {
        return;
    }
    if (!slurm_job_.empty()) {
        start(Step::ask_queue, queue_command(slurm_job_));
    } else if (!earlier_.empty()) {
        start(Step::find_earlier, find_command(earlier_));
    } else if (work_is_left && unanswered_) {
        start(Step::find, find_command(pilot_.name));
    } else if (work_is_left) {
        submit();
    }
}

void PilotSupervisor::tick(bool work_is_left) {
    if (command_) {
        if (const auto result = command_->poll()) {
            command_.reset();
            take_answer(*result, work_is_left);
        }
    } else {
        ask_next(work_is_left);
    }
}

void PilotSupervisor::pilot_connected(const std::string& name) {
    connected_sites_.insert(name);
    connected_ = connected_ || name == site();
}

void PilotSupervisor::pilot_disconnected(const std::string& name) {
    connected_sites_.erase(name);
    if (name == site() && !slurm_fails_) {
        ask_at_ = environment_.now();
    }
}

std::string PilotSupervisor::end_of(const std::string& site) const {
    const auto found = ended_sites_.find(site);
    return found == ended_sites_.end() ? "" : found->second;
}

std::string PilotSupervisor::awaited_pilot() const {
    const bool is_awaited =
        !slurm_job_.empty() && !last_detail_.empty() && !connected_sites_.contains(site());
    return is_awaited ? "Slurm job " + slurm_job_ + ": " + last_detail_ + hint_at(last_detail_) : "";
}

void PilotSupervisor::end() {
    if (ending_) {
        return;
    }
    ending_ = true;
    end_at_ = environment_.now() + kEndTimeout;
    if (!earlier_.empty()) {  // Slurm may still have it
        pilot_.name = std::exchange(earlier_, "");
        may_be_doubled_ = true;
    }
    if (step_ != Step::submit) {  // whose job is to be cancelled
        command_.reset();
        step_ = Step::none;
        cancel_next();
    }
}

void PilotSupervisor::cancel_next() {
    if (unanswered_ || may_be_doubled_) {
        start(Step::cancel, cancel_by_name_command(pilot_.name));
    } else if (!slurm_job_.empty()) {
        start(Step::cancel, cancel_command(slurm_job_));
    }
}

void PilotSupervisor::take_cancellation(const CommandResult& scancel) {
    const std::string problem = read_cancellation(scancel);
    if (problem.empty()) {
        slurm_job_.clear();
        unanswered_ = may_be_doubled_ = false;
    } else {
        log_->warn("{}", problem);
    }
}

bool PilotSupervisor::finish() {
    if (command_) {
        if (const auto result = command_->poll()) {
            command_.reset();
            if (std::exchange(step_, Step::none) == Step::cancel) {
                take_cancellation(*result);
            } else {
                const Submission submission = read_submission(*result);
                unanswered_ = submission.state == Submission::State::unavailable;
                slurm_job_ = submission.job;
                cancel_next();
            }
        }
    }
    if (command_ && environment_.now() < end_at_) {
        return false;
    }
    command_.reset();
    if (!slurm_job_.empty() || unanswered_ || may_be_doubled_) {
        const std::string which = slurm_job_.empty() ? "--name=" + pilot_.name : slurm_job_;
        environment_.note(
            "the pilot could not be cancelled, since Slurm does not answer. It ends by itself within two "
            "minutes of running without a coordinator, or by: scancel " +
            which);
        slurm_job_.clear();
        unanswered_ = may_be_doubled_ = false;
    }
    return true;
}

void PilotSupervisor::end_now(std::chrono::milliseconds timeout) {
    end();
    end_at_ = std::min(end_at_, environment_.now() + timeout);
    while (!finish()) {
        std::this_thread::sleep_for(20ms);
    }
}

}  // namespace orchestrate
