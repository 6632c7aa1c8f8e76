#include "cluster/slurm_pilot.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>
#include <stdexcept>
#include <string_view>

#include <boost/algorithm/string/trim.hpp>

#include "common/error.h"

namespace orchestrate {

namespace {

// What the pilot itself needs besides its workers.
constexpr std::int64_t kPilotMemoryMib = 256;

std::string said(const CommandResult& result) {
    const std::string errors = boost::algorithm::trim_copy(result.errors);
    const std::string output = boost::algorithm::trim_copy(result.output);
    if (errors.empty() && output.empty()) {
        return "nothing (exit code " + std::to_string(result.exit_code) + ")";
    }
    return errors.empty() ? output : errors;
}

std::string missing(const std::string& program) {
    return "there is no " + program +
           " in PATH: run this where Slurm's commands are (a login node; on Debian they are in the package "
           "slurm-client)";
}

bool unknown_job(const CommandResult& result) {
    return said(result).find("Invalid job id") != std::string::npos;
}

CommandResult run_with_limit(const std::vector<std::string>& arguments) {
    return run_command(arguments);
}

PilotState state_of(std::string_view slurm_state) {
    constexpr std::array<std::string_view, 7> waiting{
        "PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "SPECIAL_EXIT"};
    constexpr std::array<std::string_view, 7> going{"RUNNING",   "COMPLETING", "SUSPENDED", "STOPPED",
                                                    "SIGNALING", "STAGE_OUT",  "RESIZING"};
    constexpr std::array<std::string_view, 11> over{"COMPLETED",     "CANCELLED", "FAILED",       "TIMEOUT",
                                                    "NODE_FAIL",     "PREEMPTED", "BOOT_FAIL",    "DEADLINE",
                                                    "OUT_OF_MEMORY", "REVOKED",   "LAUNCH_FAILED"};
    const auto is_in = [&](const auto& states) {
        return std::find(states.begin(), states.end(), slurm_state) != states.end();
    };
    if (is_in(waiting)) {
        return PilotState::pending;
    }
    if (is_in(going)) {
        return PilotState::running;
    }
    return is_in(over) ? PilotState::ended : PilotState::unknown;
}

PilotStatus status_from(const std::string& state, const std::string& reason) {
    const bool no_reason = reason.empty() || reason == "None";
    return {state_of(state), no_reason ? state : state + " (" + reason + ")"};
}

// The value of KEY=value in what `scontrol show job` prints; empty if it is not there.
std::string field(const std::string& text, const std::string& key) {
    const std::string wanted = key + "=";
    std::size_t at = text.find(wanted);
    while (at != std::string::npos && at > 0 && std::isspace(static_cast<unsigned char>(text[at - 1])) == 0) {
        at = text.find(wanted, at + 1);
    }
    if (at == std::string::npos) {
        return {};
    }
    const std::size_t begin = at + wanted.size();
    return text.substr(begin, text.find_first_of(" \t\n", begin) - begin);
}

}  // namespace

std::string pilot_script(const PilotSpec& spec) {
    std::string script =
        "#!/bin/bash\n"
        "# A pilot of orchestrate: holds nodes of the cluster and starts workers on them when its "
        "coordinator asks.\n"
        "# Slurm is told to signal it before its time is over, and never to start it a second time by "
        "itself.\n";
    const auto option = [&](const std::string& text) {
        if (text.find('\n') != std::string::npos) {
            throw UserError("an option for sbatch must be one line: '" + text + "'");
        }
        script += "#SBATCH " + text + "\n";
    };
    const std::int64_t memory = spec.memory_mib_per_rank * spec.ranks_per_node + kPilotMemoryMib;
    option("--job-name=" + shell_quoted(spec.name));
    option("--nodes=" + std::to_string(spec.nodes));
    option("--ntasks-per-node=" + std::to_string(spec.ranks_per_node));
    option("--cpus-per-task=" + std::to_string(spec.threads_per_rank));
    option("--mem=" + std::to_string(memory) + "M");
    if (spec.gpus_per_node > 0) {
        option("--gres=gpu:" + std::to_string(spec.gpus_per_node));
    }
    if (!spec.partition.empty()) {
        option("--partition=" + shell_quoted(spec.partition));
    }
    if (!spec.account.empty()) {
        option("--account=" + shell_quoted(spec.account));
    }
    if (!spec.time_limit.empty()) {
        option("--time=" + shell_quoted(spec.time_limit));
    }
    option("--chdir=" + shell_quoted(spec.script_folder.string()));
    option("--output=" + shell_quoted((spec.script_folder / (spec.name + "-%j.out")).string()));
    option("--open-mode=append");
    option("--signal=B:TERM@60");
    option("--no-requeue");
    for (const std::string& text : spec.sbatch_options) {
        option(text);
    }
    script += "\nexec";  // no shell between Slurm's SIGTERM and the pilot
    for (const std::string& argument : spec.command) {
        script += " " + shell_quoted(argument);
    }
    return script + "\n";
}

std::string submit_pilot(const PilotSpec& spec) {
    return submit_pilot(spec, run_with_limit);
}

std::string submit_pilot(const PilotSpec& spec, const CommandRunner& run) {
    if (spec.command.empty()) {
        throw std::runtime_error("pilot " + spec.name + " has no command to run");
    }
    const std::filesystem::path script_file = spec.script_folder / (spec.name + ".sbatch");
    std::filesystem::create_directories(spec.script_folder);
    std::ofstream script(script_file);
    script << pilot_script(spec);
    script.close();
    if (!script) {
        throw UserError("cannot write the batch script " + script_file.string());
    }
    const CommandResult result = run({"sbatch", "--parsable", script_file.string()});
    if (!result.found) {
        throw UserError("cannot submit the pilot " + spec.name + ": " + missing("sbatch"));
    }
    if (result.exit_code != 0) {
        throw UserError(
            "Slurm refused the pilot " + spec.name + ". sbatch said: " + said(result) +
            "\nWhat was asked for stands in " + script_file.string() +
            "; check partition, account, time limit, memory and GPUs under [cluster] in the study file "
            "against `sinfo` and `scontrol show partition`");
    }
    // "123" or "123;cluster", after whatever a site's plugins print.
    const std::string output = boost::algorithm::trim_copy(result.output);
    const std::string last_line = output.substr(output.find_last_of('\n') + 1);
    std::string id = last_line.substr(0, last_line.find(';'));
    if (id.empty() || id.find_first_not_of("0123456789") != std::string::npos) {
        throw std::runtime_error("sbatch accepted the pilot " + spec.name +
                                 " but its answer has no job number: '" + output + "'");
    }
    return id;
}

PilotStatus pilot_status(const std::string& slurm_job_id) {
    return pilot_status(slurm_job_id, run_with_limit);
}

PilotStatus pilot_status(const std::string& slurm_job_id, const CommandRunner& run) {
    const CommandResult queue =
        run({"squeue", "--noheader", "--states=all", "--jobs=" + slurm_job_id, "--format=%T|%r"});
    if (!queue.found) {
        throw UserError("cannot ask Slurm about job " + slurm_job_id + ": " + missing("squeue"));
    }
    const std::string line = boost::algorithm::trim_copy(queue.output);
    if (queue.exit_code == 0 && !line.empty()) {
        const std::size_t bar = line.find('|');
        const std::string reason =
            bar == std::string::npos ? "" : line.substr(bar + 1, line.find('\n') - bar - 1);
        return status_from(line.substr(0, bar), reason);
    }
    if (queue.exit_code != 0 && !unknown_job(queue)) {
        return {PilotState::unknown, said(queue)};
    }
    const CommandResult job = run({"scontrol", "show", "job", slurm_job_id});
    const std::string state = field(job.output, "JobState");
    if (job.exit_code == 0 && !state.empty()) {
        return status_from(state, field(job.output, "Reason"));
    }
    if (unknown_job(job)) {
        return {PilotState::ended, "Slurm knows it no more"};
    }
    return {PilotState::unknown, said(job)};
}

void cancel_pilot(const std::string& slurm_job_id) {
    cancel_pilot(slurm_job_id, run_with_limit);
}

void cancel_pilot(const std::string& slurm_job_id, const CommandRunner& run) {
    const CommandResult result = run({"scancel", slurm_job_id});
    if (!result.found) {
        throw UserError("cannot cancel Slurm job " + slurm_job_id + ": " + missing("scancel"));
    }
    const bool over =
        unknown_job(result) || said(result).find("already completing or completed") != std::string::npos;
    if (result.exit_code != 0 && !over) {
        throw std::runtime_error("cannot cancel Slurm job " + slurm_job_id +
                                 ". scancel said: " + said(result));
    }
}

}  // namespace orchestrate
