#include "coordinator/cli/plan_report.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <set>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "common/base/counted.h"
#include "common/base/host.h"
#include "common/data/vocabulary.h"
#include "coordinator/cli/plan_space.h"
#include "coordinator/database/read_database.h"
#include "coordinator/sites/local_capacity.h"
#include "coordinator/sites/sites.h"
#include "coordinator/studies/dry_run.h"
#include "coordinator/studies/stored_study.h"
#include "coordinator/studies/study_owner.h"
#include "results/cost_estimate.h"
#include "results/display_width.h"
#include "results/metric_title.h"
#include "results/number_text.h"
#include "results/power.h"
#include "results/schema.h"

namespace orchestrate {
namespace {

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

// The first half of an identity, which is a SHA-256 in hexadecimal digits: of a million jobs it tells them apart as well.
struct Digest {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    bool operator==(const Digest&) const = default;
};
struct DigestHash {
    std::size_t operator()(const Digest& digest) const { return digest.high; }
};

Digest digest_of(const std::string& identity) {
    constexpr std::size_t kDigits = 16;
    Digest digest;
    std::from_chars(identity.data(), identity.data() + kDigits, digest.high, 16);
    std::from_chars(identity.data() + kDigits, identity.data() + 2 * kDigits, digest.low, 16);
    return digest;
}

// Rounding makes equal differences differ in their last digits.
bool is_spread(const DifferenceSpread& spread) {
    constexpr double kRounding = 1e-9;
    return spread.deviation > kRounding * spread.size && std::isfinite(spread.deviation);
}

class PlanReport {
  public:
    PlanReport(const Study& study, const PlanArguments& arguments, SQLite::Database* database,
               const DryRun* planned, const std::optional<MeasuredJob>& calibration)
        : study_(study),
          arguments_(arguments),
          database_(database),
          planned_(planned),
          calibration_(calibration) {}

    std::string render() {
        collect_jobs();
        report_done();
        report_cost();
        report_space();
        report_power();
        return text_;
    }

  private:
    // The jobs to be run, each once; what depends on jobs that are still to be run stands beside the best so far, or the
    // file's base.
    void collect_jobs() {
        for (std::size_t place = 0; place < study_.stages.size(); ++place) {
            const Stage& stage = study_.stages[place];
            std::vector<Variant> made;
            if (!planned_) {
                made = study_.expand(stage, study_.base);
            }
            const auto& variants = planned_ ? planned_->stages.at(place).variants : made;
            const bool is_beside_base = !planned_ || planned_->stages[place].start.empty();
            guesses_baseline_ = guesses_baseline_ || (!stage.baseline_stage.empty() && is_beside_base);
            paused_ += stage.halving.rungs.empty() ? 0 : static_cast<std::int64_t>(variants.size());
            for (std::size_t i = 0; i < variants.size(); ++i) {
                const Variant& variant = variants[i];
                const auto to_run = std::count_if(
                    variant.runs.begin(), variant.runs.end(),
                    [&](const Run& run) { return is_to_run(job_identity(job_of(variant, run))); });
                if (to_run > 0) {
                    to_run_.push_back({planned_ ? variant.config : made[i].config, variant.resources.ranks,
                                       static_cast<int>(place), to_run});
                    jobs_to_run_ += to_run;
                }
                if (stage.kind == StageKind::ablation && !variant.is_baseline) {
                    note_pairs(variants.front(), variant);
                }
            }
        }
    }

    // A job that is neither done nor came before.
    bool is_to_run(const std::string& identity) {
        if (!seen_.insert(digest_of(identity)).second) {
            return false;
        }
        if (planned_) {
            const auto state = planned_->states.find(identity);
            const bool is_known = state != planned_->states.end();
            if (is_known && (state->second == JobState::succeeded || state->second == JobState::paused)) {
                ++done_;
                stopped_ += state->second == JobState::paused ? 1 : 0;
                return false;
            }
            known_ += planned_->known.contains(identity) ? 1 : 0;
        }
        return true;
    }

    // The fewest pairs of any variant with the baseline: runs of equal seeds, folds and splits.
    void note_pairs(const Variant& baseline, const Variant& variant) {
        std::set<int> of_baseline;
        for (const auto& run : baseline.runs) {
            of_baseline.insert(run.pair);
        }
        const auto pairs = std::count_if(variant.runs.begin(), variant.runs.end(),
                                         [&](const Run& run) { return of_baseline.contains(run.pair); });
        pairs_ = std::min(pairs_, static_cast<std::int64_t>(pairs));
        has_ablations_ = true;
    }

    void report_done() {
        if (done_ + known_ > 0) {
            const std::string stopped =
                stopped_ > 0 ? fmt::format(" ({} of them stopped at a rung)", stopped_) : "";
            text_ += fmt::format("{} done already, in this study or another{}; {} to run\n",
                                 counted(done_, "job"), stopped, jobs_to_run_);
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
            const double hours = static_cast<double>(jobs_to_run_) * study_.expected_job_minutes / 60;
            text_ += fmt::format("cost: {} of {:.6g} minutes, as the study says: {} one after the other\n",
                                 counted(static_cast<std::int64_t>(jobs_to_run_), "job"),
                                 study_.expected_job_minutes, hours_text(hours));
            return;
        }
        if (!estimate) {
            text_ +=
                "cost: unknown, since the database has no job that could tell; plan --calibrate trains a "
                "short\n"
                "  one, or plan again after the first few jobs of a run\n";
            return;
        }
        text_ +=
            fmt::format("cost: {} of {}; {} on {} at a time\n", range_text(estimate->rank_hours),
                        estimate->device_class, range_text(estimate->wall_hours), counted(ranks, "rank"));
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
        // Fractions in points, other metrics as they are reported.
        const Stage& stage = study_.stages.back();
        const auto* const declaration = find_declaration(stage.metrics, stage.primary_metric);
        const bool in_points = declaration != nullptr && declaration->unit == MetricUnit::fraction;
        const double unit = in_points ? 100 : 1;
        const std::string points = in_points ? " points" : "";
        const std::string metric = metric_title(stage.primary_metric);
        const auto size = [&](double difference) {
            return fmt::format("{}{} of {}",
                               !in_points || difference < 0.05 ? short_number(difference)
                                                               : fmt::format("{:.1f}", difference),
                               points, metric);
        };
        const auto spread = arguments_.spread
                                ? std::optional(DifferenceSpread{*arguments_.spread / unit, "given", 0})
                            : database_ ? difference_spread(*database_, study_)
                                        : std::nullopt;
        if (pairs_ < 2) {
            text_ += "differences: with one seed each nothing can be told from chance; use at least 3\n";
        } else if (!spread) {
            text_ +=
                "differences: how small ones can be found is unknown before seeds have been run; or give\n"
                "  their spread: --spread 1.5\n";
        } else if (!is_spread(*spread)) {
            text_ += wrapped_note(
                fmt::format(
                    "differences: those measured so far do not vary from seed to seed ({}), which says "
                    "nothing about how small ones can be found; give their spread: --spread {}",
                    spread->basis, in_points ? "1.5" : "0.01"),
                0);
            return;
        } else {
            text_ += wrapped_note(
                fmt::format("differences: with {} a paired t-test (5 %, two-sided) finds {} in 4 of 5 cases; "
                            "spread of a difference {}{} ({})",
                            counted(pairs_, "pair"),
                            size(unit * spread->deviation * *smallest_effect(pairs_)),
                            short_number(unit * spread->deviation), points, spread->basis),
                0);
        }
        if (arguments_.difference && spread) {
            const auto needed = pairs_needed(*arguments_.difference / unit / spread->deviation);
            text_ += fmt::format("  for {}{}: {} needed\n", short_number(*arguments_.difference), points,
                                 needed ? counted(*needed, "pair") : "over a million pairs");
        }
    }

    const Study& study_;
    const PlanArguments& arguments_;
    SQLite::Database* database_;
    const DryRun* planned_;
    const std::optional<MeasuredJob>& calibration_;
    std::int64_t paused_ = 0;  // jobs that may wait at rungs
    std::vector<PlannedJob> to_run_;
    std::int64_t jobs_to_run_ = 0;  // counted by these
    std::unordered_set<Digest, DigestHash> seen_;
    std::int64_t done_ = 0;
    std::size_t stopped_ = 0;
    std::size_t known_ = 0;
    std::int64_t pairs_ = std::numeric_limits<std::int64_t>::max();
    bool has_ablations_ = false;
    bool guesses_baseline_ = false;
    std::string text_;
};

// The database and what a run of the study would do with it; nothing of both where there is none.
struct Known {
    std::optional<SQLite::Database> database;
    std::optional<DryRun> planned;
};

bool has_results_in(const std::filesystem::path& path) {
    SQLite::Database database = open_read_only(path);
    return holds_results(database);
}

Known what_is_known(const Study& study, const std::filesystem::path& path) {
    Known known;
    if (std::filesystem::exists(path) && has_results_in(path)) {
        known.database.emplace(open_to_read(path));
        known.planned = dry_run(study, *known.database);
    }
    return known;
}

std::string report_of(const Study& study, const PlanArguments& arguments, Known& known,
                      const std::optional<MeasuredJob>& calibration) {
    std::string text;
    if (known.database) {
        if (const auto conflict = name_conflict(study, *known.database)) {
            text = wrapped_note("run would refuse it: " + *conflict, 0);
        }
        text += difference_to_stored(study, *known.database, *known.planned);
    }
    return text + PlanReport(study, arguments, known.database ? &*known.database : nullptr,
                             known.planned ? &*known.planned : nullptr, calibration)
                      .render();
}

}  // namespace

std::string plan_report(const Study& study, const PlanArguments& arguments,
                        const std::optional<MeasuredJob>& calibration) {
    Known known = what_is_known(study, arguments.database);
    return report_of(study, arguments, known, calibration);
}

std::string whole_plan(const Study& study, const PlanArguments& arguments,
                       const std::optional<MeasuredJob>& calibration) {
    Known known = what_is_known(study, arguments.database);
    return (known.planned ? render_plan(study, known.planned->stages) : render_plan(study)) +
           report_of(study, arguments, known, calibration);
}

std::string difference_to_last_run(const Study& study, const std::filesystem::path& path) {
    Known known = what_is_known(study, path);
    return known.database ? difference_to_stored(study, *known.database, *known.planned) : "";
}

}  // namespace orchestrate
