#include "cluster/slurm_pilot.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string_view>

#include <boost/algorithm/string/trim.hpp>

#include "common/base/error.h"
#include "common/base/printable.h"

namespace orchestrate {

namespace {

// What the pilot itself needs besides its workers.
constexpr std::int64_t kPilotMemoryMib = 256;

// As one line that a terminal can show, of a length that a user reads.
std::string one_line(const std::string& text) {
    constexpr std::size_t kMaxLength = 300;
    std::string line = boost::algorithm::trim_copy(text).substr(0, kMaxLength);
    std::replace_if(
        line.begin(), line.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
    return printable(line);
}

std::string said(const CommandResult& result) {
    if (!result.found) {
        return "it is not in PATH";
    }
    if (result.timed_out) {
        return "no answer in time";
    }
    const std::string errors = one_line(result.errors);
    const std::string output = one_line(result.output);
    if (errors.empty() && output.empty()) {
        return "nothing (exit code " + std::to_string(result.exit_code) + ")";
    }
    return errors.empty() ? output : errors;
}

bool unknown_job(const CommandResult& result) {
    return result.found && !result.timed_out && result.errors.find("Invalid job id") != std::string::npos;
}

bool is_job_id(std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// What Slurm's commands say when the controller cannot be asked, or has no room at the moment.
bool may_get_better(const CommandResult& result) {
    constexpr std::array<std::string_view, 14> signs{
        "timed out",         "Unable to contact", "Connection refused", "onnect failure",
        "onnection failure", "Connection reset",  "Zero Bytes",         "not responding",
        "temporarily",       "try again",         "Transport endpoint", "in standby mode",
        "o route to host",   "submit limit"};
    return result.timed_out || result.exit_code >= 126 ||
           std::any_of(signs.begin(), signs.end(),
                       [&](std::string_view sign) { return result.errors.find(sign) != std::string::npos; });
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
    return {state_of(state), one_line(no_reason ? state : state + " (" + reason + ")")};
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

std::filesystem::path write_pilot_script(const PilotSpec& spec) {
    const std::string script = pilot_script(spec);
    std::filesystem::create_directories(spec.script_folder);
    const std::filesystem::path file = spec.script_folder / (spec.name + ".sbatch");
    std::ofstream stream(file, std::ios::binary);
    stream << script;
    stream.close();
    if (!stream) {
        throw std::runtime_error("cannot write the batch script '" + file.string() + "'");
    }
    return file;
}

std::vector<std::string> submission_command(const std::filesystem::path& script) {
    return {"sbatch", "--parsable", script.string()};
}

Submission read_submission(const CommandResult& sbatch) {
    if (!sbatch.found || sbatch.timed_out || sbatch.exit_code != 0) {
        const bool later = sbatch.found && may_get_better(sbatch);
        return {later ? Submission::State::unavailable : Submission::State::refused, "", said(sbatch)};
    }
    // "123" or "123;cluster", after whatever a site's plugins print.
    const std::string output = boost::algorithm::trim_copy(sbatch.output);
    const std::string last_line = output.substr(output.find_last_of('\n') + 1);
    std::string id = last_line.substr(0, last_line.find(';'));
    if (!is_job_id(id)) {
        return {Submission::State::unavailable, "",
                "sbatch succeeded, but its answer has no job number: " + said(sbatch)};
    }
    return {Submission::State::accepted, std::move(id), ""};
}

std::vector<std::string> find_command(const std::string& pilot_name) {
    return {"squeue", "--noheader", "--name=" + pilot_name, "--format=%A"};
}

std::optional<std::vector<std::string>> read_found(const CommandResult& squeue) {
    if (!squeue.found || squeue.timed_out || squeue.exit_code != 0) {
        return std::nullopt;
    }
    std::vector<std::string> jobs;
    std::istringstream lines(squeue.output);
    for (std::string line; std::getline(lines, line);) {
        boost::algorithm::trim(line);
        if (is_job_id(line)) {
            jobs.push_back(line);
        } else if (!line.empty()) {
            return std::nullopt;
        }
    }
    return jobs;
}

std::vector<std::string> queue_command(const std::string& slurm_job_id) {
    return {"squeue", "--noheader", "--states=all", "--jobs=" + slurm_job_id, "--format=%T|%r"};
}

std::optional<PilotStatus> read_queue(const CommandResult& squeue) {
    const std::string line = boost::algorithm::trim_copy(squeue.output);
    if (squeue.found && !squeue.timed_out && (squeue.exit_code == 0 ? line.empty() : unknown_job(squeue))) {
        return std::nullopt;
    }
    if (!squeue.found || squeue.timed_out || squeue.exit_code != 0) {
        return PilotStatus{PilotState::unknown, "squeue: " + said(squeue)};
    }
    const std::size_t bar = line.find('|');
    const PilotState state = state_of(line.substr(0, bar));
    if (bar == std::string::npos || state == PilotState::unknown) {
        return PilotStatus{PilotState::unknown, "squeue: " + said(squeue)};
    }
    return status_from(line.substr(0, bar), line.substr(bar + 1, line.find('\n') - bar - 1));
}

std::vector<std::string> controller_command(const std::string& slurm_job_id) {
    return {"scontrol", "show", "job", slurm_job_id};
}

PilotStatus read_controller(const CommandResult& scontrol) {
    if (unknown_job(scontrol)) {
        return {PilotState::ended, "Slurm does not know this job any more"};
    }
    const std::string state = field(scontrol.output, "JobState");
    if (scontrol.found && !scontrol.timed_out && scontrol.exit_code == 0 && !state.empty()) {
        const PilotStatus status = status_from(state, field(scontrol.output, "Reason"));
        if (status.state != PilotState::unknown) {
            return status;
        }
    }
    return {PilotState::unknown, "scontrol: " + said(scontrol)};
}

std::vector<std::string> cancel_command(const std::string& slurm_job_id) {
    return {"scancel", slurm_job_id};
}

std::vector<std::string> cancel_by_name_command(const std::string& pilot_name) {
    return {"scancel", "--name=" + pilot_name};
}

std::string read_cancellation(const CommandResult& scancel) {
    if (scancel.found && !scancel.timed_out &&
        (scancel.exit_code == 0 || unknown_job(scancel) ||
         scancel.errors.find("already completing or completed") != std::string::npos)) {
        return {};
    }
    return "scancel: " + said(scancel);
}

}  // namespace orchestrate
