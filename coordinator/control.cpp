#include "coordinator/control.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common/counted.h"
#include "common/error.h"
#include "common/nearest_name.h"
#include "results/job_list.h"
#include "results/job_lookup.h"

namespace orchestrate {
namespace {

constexpr const char* kUnfinished = R"(["waiting", "running", "paused"])";
constexpr const char* kWithoutResult = R"(["failed", "cancelled", "quarantined"])";

bool is_unfinished(const StoredStudy& study) {
    return study.state == StudyState::running || study.state == StudyState::interrupted;
}

class Controls {
  public:
    explicit Controls(ControlHost& host) : host_(host) {}

    std::string cancel(const std::string& target) {
        const auto found = find(target);
        if (const auto* job = std::get_if<JobReference>(&found)) {
            if (!host_.cancel_job(job->job)) {
                throw UserError(
                    fmt::format("job {} cannot be cancelled: it has ended as {}", job->job, job->state));
            }
            return fmt::format("cancelled job {}; it was {}. orchestrate retry {} lets it wait again",
                               job->job, job->state, job->job);
        }
        const StoredStudy study = stored(std::get<StudyReference>(found));
        const auto all = jobs(study, kUnfinished, false);
        if (all.empty() && !is_unfinished(study)) {
            throw UserError(
                fmt::format("study '{}' has ended as {} already", study.name, to_string(study.state)));
        }
        const auto own = jobs(study, kUnfinished, true);
        const auto cancelled =
            std::count_if(own.begin(), own.end(), [&](std::int64_t job) { return host_.cancel_job(job); });
        host_.study_cancelled(study);
        std::string text = fmt::format("cancelled study {}: {}", study.name,
                                       counted(static_cast<std::size_t>(cancelled), "job"));
        if (own.size() < all.size()) {
            const std::size_t others = all.size() - own.size();
            text += fmt::format("; {} go{} on for other studies", others, others == 1 ? "es" : "");
        }
        return text;
    }

    std::string retry(const std::string& target) {
        const auto found = find(target);
        if (const auto* job = std::get_if<JobReference>(&found)) {
            if (!host_.ask_again(job->job)) {
                throw UserError(
                    fmt::format("job {} is {}: only what has failed or was cancelled is tried again",
                                job->job, job->state));
            }
            return fmt::format("job {} waits again{}", job->job, let_studies_go_on(*job));
        }
        const StoredStudy study = stored(std::get<StudyReference>(found));
        const auto asked = jobs(study, kWithoutResult, false);
        if (asked.empty()) {
            throw UserError(fmt::format("no job of study '{}' has failed or was cancelled", study.name));
        }
        for (const std::int64_t job : asked) {
            host_.ask_again(job);
        }
        return fmt::format("{} of study {} wait{} again{}", counted(asked.size(), "job"), study.name,
                           asked.size() == 1 ? "s" : "", let_go_on(study));
    }

    std::string pause(const std::string& target) {
        const StoredStudy study = find_stored(target);
        if (!is_unfinished(study)) {
            throw UserError(fmt::format("study '{}' does not run: it has ended as {}", study.name,
                                        to_string(study.state)));
        }
        if (study.paused) {
            throw UserError(fmt::format("study '{0}' is paused already; orchestrate resume {0} lets it go on",
                                        study.name));
        }
        host_.set_paused(study, true);
        const auto running = jobs(study, R"(["running"])", false).size();
        if (running > 0 && !host_.is_active(study.name)) {
            return fmt::format(
                "paused study {}: no coordinator is running; {} that ran when it ended {} again "
                "with orchestrate resume {}",
                study.name, counted(running, "job"), running == 1 ? "begins" : "begin", study.name);
        }
        return fmt::format("paused study {}: nothing new of it begins{}", study.name,
                           running > 0 ? fmt::format("; {} that run{} go{} on", counted(running, "job"),
                                                     running == 1 ? "s" : "", running == 1 ? "es" : "")
                                       : "");
    }

    std::string resume(const std::string& target) {
        if (!target.empty()) {
            return resume(find_stored(target));
        }
        std::vector<std::string> lines;
        for (const auto& study : host_.store().studies()) {
            if (is_unfinished(study) && (study.paused || !host_.is_active(study.name))) {
                lines.push_back(resume(study));
            }
        }
        return lines.empty() ? "no study is paused or unfinished" : fmt::format("{}", fmt::join(lines, "\n"));
    }

    std::string drain(const std::string& worker) {
        std::vector<std::string> workers;
        if (!host_.drain(worker, workers)) {
            const auto nearest = nearest_name(worker, workers);
            throw UserError(fmt::format("there is no worker '{}'{}", worker,
                                        workers.empty() ? ": none is connected"
                                        : nearest
                                            ? fmt::format("; did you mean '{}'?", *nearest)
                                            : fmt::format(". Workers are: {}", fmt::join(workers, ", "))));
        }
        return fmt::format(
            "worker {} ends after what it runs, and its place stays empty until the next start", worker);
    }

  private:
    std::variant<StudyReference, JobReference> find(const std::string& target) {
        return host_.store().read(
            [&](SQLite::Database& database) { return find_study_or_job(database, target); });
    }

    StoredStudy find_stored(const std::string& target) {
        return stored(
            host_.store().read([&](SQLite::Database& database) { return find_study(database, target); }));
    }

    StoredStudy stored(const StudyReference& reference) {
        for (const auto& study : host_.store().studies()) {
            if (study.row == reference.row) {
                return study;
            }
        }
        throw std::logic_error("a study is gone");
    }

    std::vector<std::int64_t> jobs(const StoredStudy& study, const char* states, bool only_its_own) {
        return host_.store().read([&](SQLite::Database& database) {
            return jobs_of_study(database, study.row, states, only_its_own);
        });
    }

    std::string resume(const StoredStudy& study) {
        if (host_.is_active(study.name) && !study.paused) {
            throw UserError(fmt::format("study '{}' is running and not paused", study.name));
        }
        if (!is_unfinished(study)) {
            throw UserError(
                fmt::format("study '{0}' has ended as {1}; orchestrate retry {0} tries again what has "
                            "failed or was cancelled",
                            study.name, to_string(study.state)));
        }
        if (study.paused) {
            host_.set_paused(study, false);
        }
        return fmt::format("study {} goes on{}", study.name, let_go_on(study));
    }

    std::string let_go_on(const StoredStudy& study) {
        if (!host_.is_active(study.name)) {
            host_.go_on(study);
        }
        return host_.how_it_goes_on(study.name);
    }

    // A job is tried for the studies that show it: those that run, or else the first.
    std::string let_studies_go_on(const JobReference& job) {
        const auto names =
            host_.store().read([&](SQLite::Database& database) { return studies_of_job(database, job.job); });
        const bool runs = std::any_of(names.begin(), names.end(),
                                      [&](const std::string& name) { return host_.is_active(name); });
        return runs || names.empty() ? "" : let_go_on(find_stored(names.front()));
    }

    ControlHost& host_;
};

}  // namespace

std::string apply_control(ControlHost& host, const ControlRequest& request) {
    Controls controls(host);
    switch (request.control) {
        case Control::cancel:
            return controls.cancel(request.target);
        case Control::retry:
            return controls.retry(request.target);
        case Control::pause:
            return controls.pause(request.target);
        case Control::resume:
            return controls.resume(request.target);
        case Control::drain:
            return controls.drain(request.target);
    }
    throw std::logic_error("no such control");
}

}  // namespace orchestrate
