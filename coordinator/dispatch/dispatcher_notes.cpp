// What a dispatcher tells the user of attempts that have ended.
#include <algorithm>
#include <string>

#include <fmt/format.h>

#include "common/base/counted.h"
#include "common/base/time_text.h"
#include "coordinator/dispatch/dispatcher.h"
#include "results/number_text.h"

namespace orchestrate {

using namespace std::chrono_literals;

namespace {

// Thousands of lines a second would be read by nobody.
constexpr int kSuccessesSaidPerSecond = 20;
constexpr std::size_t kMetricsSaid = 4;  // of a command
constexpr int kMuchLonger = 3;           // times what was expected

// `declared`: "test accuracy"; they are said before others.
std::string found_by(const AttemptResult& result, const std::vector<std::string>& declared) {
    if (!result.of_command) {
        const auto percent = [&](TrainingMetric metric) {
            return 100 * find_metric(result.metrics, key_of(MetricPart::test, metric)).value_or(0);
        };
        return fmt::format("accuracy {:.2f} %, macro F1 {:.2f} %", percent(TrainingMetric::accuracy),
                           percent(TrainingMetric::macro_f1));
    }
    const auto is_declared = [&](const MetricValue& metric) {
        return std::ranges::find(declared, to_string(MetricKey{metric.part, metric.name})) != declared.end();
    };
    std::string text;
    std::size_t said = 0;
    for (const bool of_declared : {true, false}) {
        for (const auto& metric : result.metrics) {
            if (metric.part == MetricPart::test && said < kMetricsSaid &&
                is_declared(metric) == of_declared) {
                ++said;
                text +=
                    fmt::format("{}{} {}", text.empty() ? "" : ", ", metric.name, short_number(metric.value));
            }
        }
    }
    return text.empty() ? "done" : text;
}

}  // namespace

void Dispatcher::note_unsaid_successes() {
    const auto now = env_.now();
    if (now - successes_since_ < 1s) {
        return;
    }
    successes_since_ = now;
    successes_said_ = 0;
    if (const auto unsaid = std::exchange(successes_unsaid_, 0); unsaid > 0) {
        note(fmt::format("{} {} succeeded", counted(unsaid, "more job"), unsaid == 1 ? "has" : "have"));
    }
}

void Dispatcher::note_success(JobId job, const std::string& line) {
    note_unsaid_successes();
    if (++successes_said_ <= kSuccessesSaidPerSecond) {
        note_job(job, line);
    } else {
        ++successes_unsaid_;
    }
}

void Dispatcher::note_overdue() {
    const auto now = env_.now();
    for (auto& [name, worker] : workers_) {
        if (!worker.running || worker.is_overdue) {
            continue;
        }
        const JobId id = worker.running->job;
        const Job& job = store_.jobs().at(id);
        const auto expected =
            job.plan ? expected_durations_.find(job.plan->study) : expected_durations_.end();
        if (expected == expected_durations_.end() || expected->second.count() == 0 ||
            now - worker.began_at <= kMuchLonger * expected->second) {
            continue;
        }
        worker.is_overdue = true;
        const std::string line = fmt::format(
            "job {}: {}: runs for {} on {}, expected were {} (study.expected_job_minutes)", id, job.title,
            duration_text(now - worker.began_at), name, duration_text(expected->second));
        log_->warn(line);
        note_job(id, line);
    }
}

void Dispatcher::note_end(const AttemptEnded& ended) {
    const JobId id = ended.attempt.job;
    const Job& job = store_.jobs().at(id);
    const JobState state = job.state;
    const auto title = [&] {
        return fmt::format("job {}: {}", id, job.title.empty() ? "of another study" : job.title);
    };
    if (ended.cause == Cause::succeeded) {
        if (successes_said_ >= kSuccessesSaidPerSecond && env_.now() - successes_since_ < 1s) {
            ++successes_unsaid_;  // without the text that nobody reads
            return;
        }
        note_success(id,
                     fmt::format("{}: {} in {}", title(), found_by(*ended.result, job.resources.metrics),
                                 duration_text(std::chrono::duration<double>(ended.result->total_seconds))));
        return;
    }
    if (dismissing_) {
        return;
    }
    const std::string reason =
        ended.message.substr(0, ended.message.find('\n'));  // the rest is in `job` and the log
    std::string what = to_string(ended.cause) + (reason.empty() ? "" : ": " + reason);
    if (state == JobState::paused) {
        // not an end: it may go on
    } else if (state == JobState::waiting) {
        const auto pause = restart_pauses_.left(id, env_.now());
        what +=
            pause ? fmt::format("; it is tried again in {}", duration_text(*pause)) : "; it is tried again";
    } else if (state == JobState::quarantined) {
        what += fmt::format(
            "; QUARANTINED, since it has taken down {0}: no worker gets it until it is "
            "asked for again (orchestrate retry {1}); see orchestrate logs {1}",
            counted(job.failures, "worker"), id);
    } else {
        what += fmt::format("; see orchestrate logs {}", id);
    }
    note_job(id, title() + ": " + what);
}

}  // namespace orchestrate
