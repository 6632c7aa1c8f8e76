#include "coordinator/plan_report.h"

#include <algorithm>
#include <limits>
#include <set>

#include <fmt/format.h>

#include "common/host.h"
#include "common/vocabulary.h"
#include "coordinator/local_capacity.h"
#include "coordinator/plan_space.h"
#include "coordinator/read_database.h"
#include "coordinator/sites.h"
#include "coordinator/stored_study.h"
#include "results/cost_estimate.h"
#include "results/display_width.h"
#include "results/power.h"

namespace orchestrate {
namespace {

std::string counted(std::size_t count, const std::string& what) {
    return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::string hours_text(double hours) {
    return hours < 1.0 / 60 ? fmt::format("{:.0f} s", hours * 3600)
           : hours < 2      ? fmt::format("{:.0f} min", hours * 60)
           : hours < 100    ? fmt::format("{:.1f} h", hours)
                            : fmt::format("{:.0f} h", hours);
}

std::string range_text(const Range& range) {
    return fmt::format("{} ({} to {})", hours_text(range.likely), hours_text(range.low),
                       hours_text(range.high));
}

int ranks_at_a_time(const Study& study, const PlanArguments& arguments) {
    const auto& cluster = study.cluster;
    if (arguments.workers > 0) {
        return arguments.workers;
    }
    if (cluster.kind == ClusterKind::slurm) {
        return std::max(1, cluster.slots) * cluster.nodes;
    }
    return local_capacity(cluster, 0, {usable_cores(), visible_gpus(), usable_memory_mib()}).slots;
}

class PlanReport {
  public:
    PlanReport(const Study& study, const PlanArguments& arguments, SQLite::Database* database,
               const std::optional<MeasuredJob>& calibration)
        : study_(study), arguments_(arguments), database_(database), calibration_(calibration) {}

    std::string render() {
        collect_jobs();
        report_done();
        report_cost();
        report_space();
        report_power();
        return text_;
    }

  private:
    // The jobs to be run, each once; what depends on the winner of a search stands beside the file's base.
    void collect_jobs() {
        const auto states = database_ ? job_states(*database_) : std::unordered_map<std::string, JobState>{};
        const auto stored = database_ ? stored_record(*database_, study_.name) : std::nullopt;
        const auto baseline_of = stored ? stored_baselines(study_, *database_, *stored) : BaselineOf{};
        std::set<std::string> seen;
        int stage_number = 0;
        for (const auto& stage : study_.stages) {
            const auto baseline =
                stage.baseline_stage.empty() || !baseline_of ? std::nullopt : baseline_of(stage);
            guesses_baseline_ = guesses_baseline_ || (!stage.baseline_stage.empty() && !baseline);
            const auto variants = study_.expand(stage, baseline.value_or(study_.base));
            paused_ += stage.halving.rungs.empty() ? 0 : static_cast<std::int64_t>(variants.size());
            for (const auto& variant : variants) {
                for (const auto& run : variant.runs) {
                    add_job(job_of(variant, run), variant.resources.ranks, stage_number, states, seen);
                }
                note_runs(stage, variant);
            }
            ++stage_number;
        }
    }

    void add_job(JobConfig config, int ranks, int stage,
                 const std::unordered_map<std::string, JobState>& states, std::set<std::string>& seen) {
        const std::string identity = job_identity(config);
        if (!seen.insert(identity).second) {
            return;
        }
        if (const auto state = states.find(identity); state != states.end()) {
            if (state->second == JobState::succeeded) {
                ++done_;
                return;
            }
            ++known_;
        }
        to_run_.push_back({std::move(config), ranks, stage});
    }

    // The fewest pairs of any variant with the baseline.
    void note_runs(const Stage& stage, const Variant& variant) {
        if (stage.kind == StageKind::ablation) {
            pairs_ = std::min(pairs_, static_cast<std::int64_t>(variant.runs.size()));
        }
        has_ablations_ = has_ablations_ || (stage.kind == StageKind::ablation && !variant.is_baseline);
    }

    void report_done() {
        if (done_ + known_ > 0) {
            text_ += fmt::format("{} done already, in this study or another; {} to run\n",
                                 counted(done_, "job"), to_run_.size());
        }
    }

    void report_cost() {
        const int ranks = ranks_at_a_time(study_, arguments_);
        if (to_run_.empty()) {
            return;
        }
        auto measured = database_ ? measured_jobs(*database_) : std::vector<MeasuredJob>{};
        // Nothing is known of a command but how long it took before.
        const auto& command = study_.base.command;
        std::erase_if(measured, [&](const MeasuredJob& job) {
            return job.config.command.has_value() != command.has_value() ||
                   (command && job.config.command->run != command->run);
        });
        if (calibration_) {
            text_ += fmt::format("calibration: one epoch took {:.1f} s on {}\n", calibration_->seconds,
                                 calibration_->device_class);
            measured.push_back(*calibration_);
        }
        const auto estimate = estimate_cost(to_run_, measured, data_rows(study_), ranks);
        if (!estimate && study_.expected_job_minutes > 0) {
            const double hours = static_cast<double>(to_run_.size()) * study_.expected_job_minutes / 60;
            text_ +=
                fmt::format("cost: {} jobs of {:.6g} minutes, as the study says: {} one after the other\n",
                            to_run_.size(), study_.expected_job_minutes, hours_text(hours));
            return;
        }
        if (!estimate) {
            text_ +=
                "cost: unknown, since the database has no job that could tell; plan --calibrate trains a "
                "short\n"
                "  one, or plan again after the first few jobs of a run\n";
            return;
        }
        text_ += fmt::format("cost: {} of {}; {} on {} at a time\n", range_text(estimate->rank_hours),
                             estimate->device_class, range_text(estimate->wall_hours),
                             counted(static_cast<std::size_t>(ranks), "rank"));
        text_ += fmt::format(
            "  {} estimated from the same configuration, {} scaled from others by epochs, rows,\n"
            "  features and weights\n",
            estimate->same, estimate->scaled);
        if (guesses_baseline_) {
            text_ += "  ablations of a search are counted beside the file's own configuration\n";
        }
    }

    // Of trainings: a command's files are its own.
    void report_space() {
        if (study_.base.command || to_run_.empty()) {
            return;
        }
        const auto& tokenizer = study_.base.tokenizer;
        const std::int64_t vocabulary = study_.paths.vocabulary.empty()
                                            ? tokenizer.vocabulary_size
                                            : vocabulary_size(study_.paths.vocabulary);
        text_ += render_space(space_needed(to_run_, vocabulary, data_classes(study_),
                                           ranks_at_a_time(study_, arguments_), paused_,
                                           study_.save_models != SaveModels::none));
    }

    void report_power() {
        if (!has_ablations_) {
            return;
        }
        // Macro F1 in points; what a command reports, as it does.
        const bool of_command = study_.is_of_command();
        const double unit = of_command ? 1 : 100;
        const std::string metric = of_command ? study_.stages.back().metrics.front().name : "macro F1";
        const auto size = [&](double difference) {
            return of_command ? fmt::format("{:.3g} of {}", difference, metric)
                              : fmt::format("{:.1f} points of {}", difference, metric);
        };
        const auto spread = arguments_.spread
                                ? std::optional(DifferenceSpread{*arguments_.spread / unit, "given"})
                            : database_ ? difference_spread(*database_, study_)
                                        : std::nullopt;
        if (pairs_ < 2) {
            text_ += "differences: with one seed each nothing can be told from chance; use at least 3\n";
        } else if (!spread) {
            text_ +=
                "differences: how small ones can be found is unknown before seeds have been run; or give\n"
                "  their spread: --spread 1.5\n";
        } else {
            text_ += wrapped_note(
                fmt::format("differences: with {} a paired t-test (5 %, two-sided) finds {} in 4 of 5 cases; "
                            "spread of a difference {:.3g}{} ({})",
                            counted(static_cast<std::size_t>(pairs_), "pair"),
                            size(unit * spread->deviation * *smallest_effect(pairs_)),
                            unit * spread->deviation, of_command ? "" : " points", spread->basis),
                0);
        }
        if (arguments_.difference && spread) {
            const auto needed = pairs_needed(*arguments_.difference / unit / spread->deviation);
            text_ += fmt::format(
                "  for {:.6g}{}: {} needed\n", *arguments_.difference, of_command ? "" : " points",
                needed ? counted(static_cast<std::size_t>(*needed), "pair") : "over a million pairs");
        }
    }

    const Study& study_;
    const PlanArguments& arguments_;
    SQLite::Database* database_;
    const std::optional<MeasuredJob>& calibration_;
    std::int64_t paused_ = 0;  // jobs that may wait at rungs
    std::vector<PlannedJob> to_run_;
    std::size_t done_ = 0;
    std::size_t known_ = 0;
    std::int64_t pairs_ = std::numeric_limits<std::int64_t>::max();
    bool has_ablations_ = false;
    bool guesses_baseline_ = false;
    std::string text_;
};

}  // namespace

std::string plan_report(const Study& study, const PlanArguments& arguments,
                        const std::optional<MeasuredJob>& calibration) {
    std::optional<SQLite::Database> database;
    if (std::filesystem::exists(arguments.database)) {
        database.emplace(open_to_read(arguments.database));
        if (!database->tableExists("studies")) {
            database.reset();
        }
    }
    return difference_to_last_run(study, arguments.database) +
           PlanReport(study, arguments, database ? &*database : nullptr, calibration).render();
}

}  // namespace orchestrate
