#include "worker/agent/command_job.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <deque>
#include <fstream>
#include <set>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/command_arguments.h"
#include "common/error.h"
#include "common/sha256.h"
#include "common/temporary_folder.h"
#include "worker/agent/command_process.h"
#include "worker/agent/metric_lines.h"

namespace orchestrate {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLook{100};  // how often a wish to stop is looked for
constexpr std::size_t kErrorLinesKept = 5;       // of stderr, for the message
constexpr std::size_t kMostMessageBytes = 2000;

// A named pipe that is always open for writing, so that no writer waits for a reader and none that leaves ends it.
class NamedPipe {
  public:
    explicit NamedPipe(const fs::path& path) {
        if (mkfifo(path.c_str(), S_IRUSR | S_IWUSR) == 0) {
            descriptor_ = open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
        }
        if (descriptor_ < 0) {
            throw std::system_error(errno, std::generic_category(),
                                    "cannot make the pipe '" + path.string() + "'");
        }
    }
    ~NamedPipe() { close(descriptor_); }
    NamedPipe(const NamedPipe&) = delete;
    NamedPipe& operator=(const NamedPipe&) = delete;

    int descriptor() const { return descriptor_; }

  private:
    int descriptor_ = -1;
};

void check_files(const CommandConfig& command, const fs::path& folder) {
    for (const auto& file : command.files) {
        Sha256 hash;
        try {
            hash.add_file(folder / file.name);
        } catch (const UserError& error) {
            throw UserError(std::string(error.what()) +
                            "; expected it where the study was read, in a folder that every worker sees");
        }
        if (const std::string found = hash.hex(); found != file.sha256) {
            throw UserError(
                fmt::format("'{}' has changed since the study was read (SHA-256 {}..., expected "
                            "{}...); run the study again for jobs of the new content",
                            (folder / file.name).string(), found.substr(0, 12), file.sha256.substr(0, 12)));
        }
    }
}

// Where the small files of a command that runs lie: in memory, if the host has a place for that. Making and removing
// files on a disk costs more than starting a process.
fs::path small_files_folder() {
    const fs::path in_memory = "/dev/shm";
    return access(in_memory.c_str(), W_OK | X_OK) == 0 ? in_memory : fs::temp_directory_path();
}

// Names below a folder with their sizes and times: whether something was added or changed.
std::set<std::string> content_of(const std::string& folder) {
    std::set<std::string> content;
    std::error_code error;
    for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end;
         entry.increment(error)) {
        std::error_code gone;
        if (entry->is_regular_file(gone)) {
            content.insert(fmt::format("{} {} {}", entry->path().string(), entry->file_size(gone),
                                       entry->last_write_time(gone).time_since_epoch().count()));
        }
    }
    return content;
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

class CommandRun {
  public:
    CommandRun(const Lease& lease, const CommandJobOptions& options, AttemptObserver& observer)
        : lease_(lease),
          command_(*lease.config.command),
          options_(options),
          observer_(observer),
          folder_(lease.paths.command_folder),
          pipe_(files_.path() / "metrics") {}

    AttemptOutcome run(ProcessGuard& guard, const std::atomic<bool>& stop) {
        check_files(command_, folder_);
        write_config();
        if (std::error_code ignored; !lease_.checkpoints.folder.empty()) {
            std::filesystem::create_directories(lease_.checkpoints.folder,
                                                ignored);  // told by the script if it needs it
        }
        const auto checkpoints_before = content_of(lease_.checkpoints.folder);
        announce_resume();
        const auto begun_at = Clock::now();
        CommandProcess process({arguments(), folder_, environment()});
        guard.watch(process.group());
        const CommandExit exit = follow(process, stop);
        guard.watch(0);
        AttemptOutcome outcome;
        outcome.result.of_command = true;
        outcome.result.total_seconds = std::chrono::duration<double>(Clock::now() - begun_at).count();
        outcome.result.train_seconds = outcome.result.total_seconds;
        outcome.result.peak_memory_bytes = exit.peak_memory_bytes;
        outcome.result.device_class = to_string(options_.device);
        outcome.result.ranks = lease_.resources.ranks;
        outcome.result.named = std::move(metrics_);
        judge(exit, content_of(lease_.checkpoints.folder) != checkpoints_before, outcome);
        return outcome;
    }

  private:
    fs::path config_file() const { return files_.path() / "config.json"; }

    void write_config() const {
        const Json config = {{"parameters", command_.parameters}, {"seed", lease_.config.seed.initialization},
                             {"seeds", lease_.config.seed},       {"ranks", lease_.resources.ranks},
                             {"job", lease_.attempt.job},         {"attempt", lease_.attempt.number}};
        std::ofstream file(config_file());
        file << config.dump(2) << "\n";
        if (!file.flush()) {
            throw std::runtime_error("cannot write '" + config_file().string() + "'");
        }
    }

    std::vector<std::string> arguments() const {
        return filled_in(command_,
                         {{"seed", lease_.config.seed.initialization}, {"config", config_file().string()}});
    }

    std::string resume_folder() const {
        const auto& candidates = lease_.checkpoints.resume_from;
        return candidates.empty() ? "" : candidates.front().file;
    }

    void announce_resume() {
        if (!lease_.checkpoints.resume_from.empty()) {
            observer_.on_resume({lease_.checkpoints.resume_from.front().attempt, 0, 0, 0});
        }
    }

    Environment environment() const {
        auto variables = current_environment();
        std::erase_if(variables, [](const auto& variable) { return is_of_mpi(variable.first); });
        variables[kConfigVariable] = config_file().string();
        variables[kMetricsVariable] = (files_.path() / "metrics").string();
        variables[kCheckpointsVariable] = lease_.checkpoints.folder;
        variables[kResumeVariable] = resume_folder();
        variables[kSeedVariable] = std::to_string(lease_.config.seed.initialization);
        variables[kRanksVariable] = std::to_string(lease_.resources.ranks);
        variables[kJobVariable] = std::to_string(lease_.attempt.job);
        variables[kAttemptVariable] = std::to_string(lease_.attempt.number);
        variables["OMP_NUM_THREADS"] = std::to_string(options_.threads * lease_.resources.ranks);
        return variables;
    }

    CommandExit follow(CommandProcess& process, const std::atomic<bool>& stop) {
        while (true) {
            process.wait(pipe_.descriptor(), kLook);
            if (take_what_it_wrote(process)) {
                observer_.on_advance();
            }
            if (const auto exit = process.poll()) {
                while (take_what_it_wrote(process)) {
                }
                take_rests();
                return *exit;
            }
            ask_to_stop(process, stop);
        }
    }

    void ask_to_stop(const CommandProcess& process, const std::atomic<bool>& stop) {
        if (stop && !asked_at_) {
            asked_at_ = Clock::now();
            observer_.on_log("asking the command to end (SIGTERM)");
            process.signal(SIGTERM);
        } else if (asked_at_ && !killed_ && Clock::now() - *asked_at_ > options_.stop_grace) {
            killed_ = true;
            observer_.on_log(fmt::format("it has not ended within {:.1f} s: killing it",
                                         std::chrono::duration<double>(options_.stop_grace).count()));
            process.signal(SIGKILL);
        }
    }

    // False if there was nothing.
    bool take_what_it_wrote(CommandProcess& process) {
        const std::string output = process.read_output();
        const std::string errors = process.read_errors();
        const std::string metrics = read_available(pipe_.descriptor());
        for (const auto& line : output_lines_.add(output)) {
            observer_.on_log("| " + line);
        }
        for (const auto& line : error_lines_.add(errors)) {
            take_error(line);
        }
        for (const auto& line : metric_lines_.add(metrics)) {
            take_metric(line);
        }
        return !output.empty() || !errors.empty() || !metrics.empty();
    }

    void take_rests() {
        if (const std::string rest = output_lines_.rest(); !rest.empty()) {
            observer_.on_log("| " + rest);
        }
        if (const std::string rest = error_lines_.rest(); !rest.empty()) {
            take_error(rest);
        }
        if (const std::string rest = metric_lines_.rest(); !rest.empty()) {
            take_metric(rest);
        }
    }

    void take_error(const std::string& line) {
        observer_.on_log("! " + line);
        if (!line.empty()) {
            last_errors_.push_back(line);
        }
        if (last_errors_.size() > kErrorLinesKept) {
            last_errors_.pop_front();
        }
    }

    void take_metric(const std::string& text) {
        if (text.empty()) {
            return;
        }
        try {
            const MetricLine line = read_metric_line(text);
            if (line.progress) {
                observer_.on_progress(*line.progress);
            }
            if (line.epoch) {
                observer_.on_epoch(*line.epoch);
            }
            for (const auto& metric : line.result) {
                std::erase_if(metrics_, [&](const NamedMetric& earlier) {
                    return earlier.part == metric.part && earlier.name == metric.name;
                });
                metrics_.push_back(metric);
                observer_.on_log(fmt::format("{} {}: {}", metric.part, metric.name, metric.value));
            }
        } catch (const UserError& error) {
            observer_.on_log(std::string("not understood: ") + error.what());
            if (first_mistake_.empty()) {
                first_mistake_ = error.what();
            }
        }
    }

    void judge(const CommandExit& exit, bool has_new_checkpoint, AttemptOutcome& outcome) const {
        if (exit.signal == 0 && exit.code == 0) {
            judge_metrics(outcome);
        } else if (asked_at_) {
            outcome.cause = Cause::preempted;
            outcome.message = exit.code == kExitPreempted ? "" : how_it_ended(exit) + " when asked to end";
        } else if (exit.code == kExitPreempted && has_new_checkpoint) {
            outcome.cause = Cause::preempted;
            outcome.message = "the command asked to be started again (exit code 75)";
        } else if (exit.code == kExitPreempted) {
            // Counted, or a command that never gets on would be started for ever.
            outcome.cause = Cause::worker_crashed;
            outcome.message = fmt::format(
                "the command asked to be started again (exit code 75), but has written nothing to {}",
                kCheckpointsVariable);
        } else {
            outcome.cause = exit.signal > 0 ? Cause::worker_crashed : Cause::user_error;
            outcome.message = how_it_ended(exit) + last_errors();
        }
    }

    // A command that ends well without what it was run for has not succeeded.
    void judge_metrics(AttemptOutcome& outcome) const {
        std::vector<std::string> reported;
        for (const auto& metric : outcome.result.named) {
            reported.push_back(metric.part + " " + metric.name);
        }
        for (const auto& expected : lease_.resources.metrics) {
            if (std::find(reported.begin(), reported.end(), expected) != reported.end()) {
                continue;
            }
            std::string found;
            for (const auto& name : reported) {
                found += (found.empty() ? "" : ", ") + name;
            }
            outcome.cause = Cause::user_error;
            outcome.message = fmt::format(
                "the command ended with exit code 0, but without the metric '{}'; "
                "reported: {}{}{}",
                expected, found.empty() ? "none" : found,
                first_mistake_.empty() ? "" : "; not understood: " + first_mistake_, last_errors());
            return;
        }
    }

    static std::string how_it_ended(const CommandExit& exit) {
        if (exit.signal == SIGKILL) {
            return "the command was killed (signal 9), as the kernel does where memory is short";
        }
        return exit.signal > 0 ? fmt::format("the command was ended by signal {} ({})", exit.signal,
                                             strsignal(exit.signal))
                               : fmt::format("the command ended with exit code {}", exit.code);
    }

    std::string last_errors() const {
        std::string text;
        for (const auto& line : last_errors_) {
            text += "\n  " + line;
        }
        if (text.size() > kMostMessageBytes) {
            text = "\n  ..." + text.substr(text.size() - kMostMessageBytes);
        }
        return text.empty() ? "" : "; the last it said:" + text;
    }

    const Lease& lease_;
    const CommandConfig& command_;
    const CommandJobOptions& options_;
    AttemptObserver& observer_;
    fs::path folder_;
    TemporaryFolder files_{small_files_folder()};
    NamedPipe pipe_;
    LineSplitter output_lines_;
    LineSplitter error_lines_;
    LineSplitter metric_lines_;
    std::vector<NamedMetric> metrics_;
    std::deque<std::string> last_errors_;
    std::string first_mistake_;  // of the lines that were not understood
    std::optional<Clock::time_point> asked_at_;
    bool killed_ = false;
};

}  // namespace

AttemptOutcome CommandJobs::run(const Lease& lease, AttemptObserver& observer,
                                const std::atomic<bool>& stop) {
    if (!guard_) {
        guard_ = std::make_unique<ProcessGuard>();
    }
    return CommandRun(lease, options_, observer).run(*guard_, stop);
}

}  // namespace orchestrate
