#include "worker/agent/command_job.h"

#include <algorithm>
#include <deque>
#include <system_error>

#include <fmt/format.h>

#include "common/base/error.h"
#include "common/base/machine_trouble.h"
#include "common/base/printable.h"
#include "common/base/sha256.h"
#include "common/job/command_arguments.h"
#include "worker/agent/command_checkpoints.h"
#include "worker/agent/command_process.h"
#include "worker/agent/host_state.h"
#include "worker/agent/process_mark.h"
#include "worker/agent/reported_metrics.h"

namespace orchestrate {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLook{100};  // how often a wish to stop is looked for
constexpr std::chrono::milliseconds kEndOfRest{
    5000};                                 // for what the command has left running, once it is killed
constexpr int kMaxLastReads = 4;           // of a megabyte each, from pipes whose writers have been killed
constexpr std::size_t kLastLinesKept = 5;  // of stderr and stdout, for the message

void check_files(const CommandConfig& command, const fs::path& directory) {
    for (const auto& file : command.files) {
        Sha256 hash;
        try {
            hash.add_file(directory / file.name);
        } catch (const UserError& error) {
            throw UserError(std::string(error.what()) +
                            "; expected it where the study was read, in a directory that every worker sees");
        }
        if (const std::string found = hash.hex(); found != file.sha256) {
            throw UserError(fmt::format(
                "'{}' has changed since the study was read (SHA-256 {}..., expected "
                "{}...); run the study again for jobs of the new content",
                (directory / file.name).string(), found.substr(0, 12), file.sha256.substr(0, 12)));
        }
    }
}

// Belongs to the MPI job that this worker may be, and would confuse a command that is another one.
bool is_of_mpi(const std::string& variable) {
    for (const char* prefix : {"OMPI_", "PMIX_", "PMI_", "PRTE_", "MPIR_", "HYDRA_"}) {
        if (variable.rfind(prefix, 0) == 0) {
            return true;
        }
    }
    return false;
}

std::string config_of(const Lease& lease) {
    const Json config = {{"parameters", lease.config.command->parameters},
                         {"seed", lease.config.seed.initialization},
                         {"seeds", lease.config.seed},
                         {"ranks", lease.resources.ranks},
                         {"job", lease.attempt.job},
                         {"attempt", lease.attempt.number}};
    return config.dump(2) + "\n";
}

// The last lines of a stream that say something.
class LastLines {
  public:
    void add(const std::string& line) {
        if (line.find_first_not_of(" \t") == std::string::npos) {
            return;
        }
        lines_.push_back(line);
        if (lines_.size() > kLastLinesKept) {
            lines_.pop_front();
        }
    }
    std::string text() const {
        std::string text;
        for (const auto& line : lines_) {
            text += (text.empty() ? "" : "\n") + line;
        }
        return text;
    }

  private:
    std::deque<std::string> lines_;
};

class CommandRun {
  public:
    CommandRun(const Lease& lease, const CommandJobOptions& options, AttemptObserver& observer)
        : lease_(lease),
          command_(*lease.config.command),
          options_(options),
          observer_(observer),
          directory_(lease.paths.command_folder),
          resumed_(checkpoint_to_resume(lease.checkpoints.resume_from)),
          scratch_(options.scratch_places, config_of(lease)) {}

    AttemptOutcome run(const std::atomic<bool>& stop) {
        check_files(command_, directory_);
        make_checkpoint_directory();
        announce_resume();
        const auto begun_at = Clock::now();
        const std::int64_t killed_before = processes_killed_for_memory();
        CommandProcess process({arguments(),
                                directory_,
                                environment(),
                                scratch_.path(),
                                {scratch_.config_file(), scratch_.metrics_file()}});
        end_.exit = follow(process, stop);
        AttemptOutcome outcome;
        outcome.result.of_command = true;
        outcome.result.total_seconds = std::chrono::duration<double>(Clock::now() - begun_at).count();
        outcome.result.train_seconds = outcome.result.total_seconds;
        outcome.result.peak_memory_bytes = end_.exit.peak_memory_bytes;
        outcome.result.device_class = to_string(options_.device);
        outcome.result.ranks = lease_.resources.ranks;
        outcome.result.metrics = metrics_.values();
        end_.stop_grace = options_.stop_grace;
        end_.has_new_checkpoint = has_new_checkpoint(lease_.checkpoints.folder, resume_directory());
        end_.kernel_killed_for_memory = processes_killed_for_memory() > killed_before;
        end_.full_places = full_file_systems(used_places());
        end_.last_words = last_errors_.text().empty() ? last_output_.text() : last_errors_.text();
        judge(outcome);
        return outcome;
    }

  private:
    // The command's own error would be taken for a fault of the job.
    void make_checkpoint_directory() const {
        std::error_code error;
        if (!lease_.checkpoints.folder.empty() && !fs::create_directories(lease_.checkpoints.folder, error) &&
            error) {
            throw MachineTrouble(error.value(),
                                 "cannot make the checkpoint directory '" + lease_.checkpoints.folder + "'");
        }
    }

    std::vector<std::string> arguments() const {
        return filled_in(command_, {{"seed", lease_.config.seed.initialization},
                                    {"config", scratch_.config_file().string()}});
    }

    std::string resume_directory() const { return resumed_ == nullptr ? "" : directory_of(*resumed_); }

    void announce_resume() {
        if (resumed_ != nullptr) {
            observer_.on_resume({resumed_->attempt, 0, 0, 0});
        }
    }

    Environment environment() const {
        auto variables = current_environment();
        std::erase_if(variables, [](const auto& variable) { return is_of_mpi(variable.first); });
        variables[kProcessMarkVariable] = new_process_mark();
        variables[kConfigVariable] = scratch_.config_file().string();
        variables[kMetricsVariable] = scratch_.metrics_file().string();
        variables[kCheckpointsVariable] = lease_.checkpoints.folder;
        variables[kResumeVariable] = resume_directory();
        variables[kSeedVariable] = std::to_string(lease_.config.seed.initialization);
        variables[kRanksVariable] = std::to_string(lease_.resources.ranks);
        variables[kJobVariable] = to_string(lease_.attempt.job);
        variables[kAttemptVariable] = std::to_string(lease_.attempt.number);
        variables["OMP_NUM_THREADS"] = std::to_string(options_.threads * lease_.resources.ranks);
        return variables;
    }

    std::vector<fs::path> used_places() const {
        std::vector<fs::path> places = options_.scratch_places;
        places.push_back(directory_);
        places.emplace_back(lease_.checkpoints.folder);
        return places;
    }

    // Until the command has ended. What it has started and left running is killed then, and delays nothing.
    CommandExit follow(CommandProcess& process, const std::atomic<bool>& stop) {
        while (true) {
            process.wait(scratch_.metrics(), kLook);
            if (take_what_it_wrote(process)) {
                observer_.on_advance();
            }
            if (const auto exit = process.poll()) {
                if (!process.wait_for_all(kEndOfRest)) {
                    observer_.on_log("something that it has started cannot be ended, and is left to itself");
                }
                for (int i = 0; i < kMaxLastReads && take_what_it_wrote(process); ++i) {
                }
                take_rests();
                return *exit;
            }
            ask_to_stop(process, stop);
        }
    }

    void ask_to_stop(const CommandProcess& process, const std::atomic<bool>& stop) {
        if (stop && !end_.was_asked) {
            end_.was_asked = true;
            asked_at_ = Clock::now();
            observer_.on_log("asking the command to end (SIGTERM)");
            process.ask_to_end();
        } else if (end_.was_asked && !end_.was_killed && Clock::now() - asked_at_ > options_.stop_grace) {
            end_.was_killed = true;
            observer_.on_log(fmt::format("it has not ended within {:.1f} s: killing it",
                                         std::chrono::duration<double>(options_.stop_grace).count()));
            process.kill();
        }
    }

    // False if there was nothing.
    bool take_what_it_wrote(CommandProcess& process) {
        const std::string output = process.read_output();
        const std::string errors = process.read_errors();
        const std::string metrics = read_available(scratch_.metrics());
        for (const auto& line : output_lines_.add(output)) {
            take_line("| ", line, last_output_);
        }
        for (const auto& line : error_lines_.add(errors)) {
            take_line("! ", line, last_errors_);
        }
        for (const auto& line : metric_lines_.add(metrics)) {
            metrics_.take(line);
        }
        return !output.empty() || !errors.empty() || !metrics.empty();
    }

    void take_rests() {
        if (const std::string rest = output_lines_.rest(); !rest.empty()) {
            take_line("| ", rest, last_output_);
        }
        if (const std::string rest = error_lines_.rest(); !rest.empty()) {
            take_line("! ", rest, last_errors_);
        }
        if (const std::string rest = metric_lines_.rest(); !rest.empty()) {
            metrics_.take(rest);
        }
    }

    void take_line(const char* stream, const std::string& line, LastLines& last) {
        const std::string text = printable(line, true);
        observer_.on_log(stream + text);
        last.add(text);
    }

    void judge(AttemptOutcome& outcome) const {
        CommandVerdict verdict = judge_end(end_);
        const auto& expected = lease_.resources.metrics;
        if (verdict.cause == Cause::succeeded) {
            if (const auto fault = metrics_.fault(expected)) {
                verdict = {fault->cause,
                           with_last_words("the command ended with exit code 0, but " + fault->message,
                                           end_.last_words)};
            }
        } else if (verdict.cause == Cause::user_error) {
            if (const auto fault = metrics_.divergence(expected)) {
                verdict = {fault->cause,
                           with_last_words(fmt::format("{}; then the command ended with exit code {}",
                                                       fault->message, end_.exit.code),
                                           end_.last_words)};
            }
        }
        if (verdict.cause != Cause::succeeded && end_.was_asked) {
            verdict.cause = Cause::preempted;  // it was asked to end before it was done
        }
        outcome.cause = verdict.cause;
        outcome.message = verdict.message;
        outcome.asks_again = verdict.asks_again;
    }

    const Lease& lease_;
    const CommandConfig& command_;
    const CommandJobOptions& options_;
    AttemptObserver& observer_;
    fs::path directory_;
    const StoredCheckpoint* resumed_;  // null: it begins at the beginning
    CommandScratch scratch_;
    LineSplitter output_lines_;
    LineSplitter error_lines_;
    LineSplitter metric_lines_;
    ReportedMetrics metrics_{observer_, lease_.resources.metrics};
    LastLines last_errors_;
    LastLines last_output_;
    CommandEnd end_;
    Clock::time_point asked_at_;
};

}  // namespace

AttemptOutcome CommandJobs::run(const Lease& lease, AttemptObserver& observer,
                                const std::atomic<bool>& stop) {
    if (!std::exchange(has_cleaned_up_, true)) {
        remove_leftovers(options_.scratch_places);
    }
    return CommandRun(lease, options_, observer).run(stop);
}

}  // namespace orchestrate
