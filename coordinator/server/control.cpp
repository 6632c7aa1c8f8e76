#include "coordinator/server/control.h"

#include <algorithm>
#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common/base/counted.h"
#include "common/base/error.h"
#include "common/base/nearest_name.h"
#include "results/job_list.h"
#include "results/job_lookup.h"

namespace orchestrate {
namespace {

namespace asio = boost::asio;

// Of the jobs of a study at a time: some milliseconds of work.
constexpr std::size_t kRowsAtATime = 500;

bool is_unfinished(JobState state) {
    return state == JobState::waiting || state == JobState::running || state == JobState::paused;
}

bool is_unfinished(const StoredStudy& study) {
    return study.state == StudyState::running || study.state == StudyState::interrupted;
}

class Controls {
  public:
    explicit Controls(ControlHost& host) : host_(host) {}

    asio::awaitable<std::string> cancel(std::string target) {
        const auto found = find(target);
        if (const auto* job = std::get_if<JobReference>(&found)) {
            if (!host_.cancel_job(job->job)) {
                throw UserError(
                    fmt::format("job {} cannot be cancelled: it has ended as {}", job->job, job->state));
            }
            co_return fmt::format("cancelled job {}; it was {}. orchestrate retry {} lets it wait again",
                                  job->job, job->state, job->job);
        }
        const StoredStudy study = stored(std::get<StudyReference>(found));
        if (is_unfinished(study)) {
            host_.begin_cancelling(study);
        }
        const Jobs jobs = co_await jobs_in(study, is_unfinished);
        if (jobs.all == 0 && !is_unfinished(study)) {
            throw UserError(
                fmt::format("study '{}' has ended as {} already", study.name, to_string(study.state)));
        }
        std::int64_t cancelled = 0;
        bool goes_on = true;
        for (std::size_t i = 0; i < jobs.own.size(); ++i) {
            if (i % kRowsAtATime == 0) {
                goes_on = co_await host_.others_go_first(study);
            }
            if (!goes_on) {
                break;
            }
            cancelled += host_.cancel_job(jobs.own[i]) ? 1 : 0;
        }
        if (goes_on) {
            host_.study_cancelled(study);
        }
        std::string text = fmt::format("cancelled study {}: {}", study.name, counted(cancelled, "job"));
        if (!goes_on) {
            text += "; it was begun anew meanwhile";
        } else if (std::ssize(jobs.own) < jobs.all) {
            const std::int64_t others = jobs.all - std::ssize(jobs.own);
            text += fmt::format("; {} go{} on for other studies", others, others == 1 ? "es" : "");
        }
        co_return text;
    }

    asio::awaitable<std::string> retry(std::string target) {
        const auto found = find(target);
        if (const auto* job = std::get_if<JobReference>(&found)) {
            if (!host_.ask_again(job->job)) {
                throw UserError(
                    fmt::format("job {} is {}: only what has failed or was cancelled is tried again",
                                job->job, job->state));
            }
            const std::string how = co_await let_studies_go_on(*job);
            co_return fmt::format("job {} waits again{}", job->job, how);
        }
        const StoredStudy study = stored(std::get<StudyReference>(found));
        const Jobs asked = co_await jobs_in(study, is_over_without_result);
        if (asked.all == 0) {
            throw UserError(fmt::format("no job of study '{}' has failed or was cancelled", study.name));
        }
        std::size_t changed = 0;
        for (const auto* jobs : {&asked.own, &asked.shared}) {
            for (const JobId job : *jobs) {
                host_.ask_again(job);
                if (++changed % kRowsAtATime == 0) {
                    co_await host_.others_go_first(study);
                }
            }
        }
        const std::string how = co_await let_go_on(study);
        co_return fmt::format("{} of study {} wait{} again{}", counted(asked.all, "job"), study.name,
                              asked.all == 1 ? "s" : "", how);
    }

    asio::awaitable<std::string> pause(std::string target) {
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
        const Jobs jobs = co_await jobs_in(study, [](JobState state) { return state == JobState::running; });
        const std::int64_t running = jobs.all;
        if (running > 0 && !host_.is_active(study.name)) {
            co_return fmt::format(
                "paused study {}: no coordinator is running; {} that ran when it ended {} again with "
                "orchestrate resume {}",
                study.name, counted(running, "job"), running == 1 ? "begins" : "begin", study.name);
        }
        co_return fmt::format("paused study {}: nothing new of it begins{}", study.name,
                              running > 0 ? fmt::format("; {} that run{} go{} on", counted(running, "job"),
                                                        running == 1 ? "s" : "", running == 1 ? "es" : "")
                                          : "");
    }

    asio::awaitable<std::string> resume(std::string target) {
        if (!target.empty()) {
            co_return co_await resume(find_stored(target));
        }
        std::vector<std::string> lines;
        for (const auto& study : host_.store().studies()) {
            if (is_unfinished(study) && (study.paused || !host_.is_active(study.name))) {
                lines.push_back(co_await resume(study));
            }
        }
        co_return lines.empty() ? "no study is paused or unfinished"
                                : fmt::format("{}", fmt::join(lines, "\n"));
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

    struct Jobs {
        std::vector<JobId> own;
        std::vector<JobId> shared;  // with another study that has not ended
        std::int64_t all = 0;
    };
    asio::awaitable<Jobs> jobs_in(const StoredStudy& study, bool (*is_wanted)(JobState)) {
        Jobs found;
        JobsOfStudy jobs =
            host_.store().read([&](SQLite::Database& database) { return JobsOfStudy(database, study.row); });
        while (!jobs.is_done()) {
            const auto slice = host_.store().read(
                [&](SQLite::Database& database) { return jobs.next(database, kRowsAtATime); });
            for (const auto& job : slice) {
                if (is_wanted(enum_from_name<JobState>(job.state).value())) {
                    (job.is_its_own ? found.own : found.shared).push_back(job.id);
                }
            }
            if (!jobs.is_done()) {
                co_await host_.others_go_first(study);
            }
        }
        found.all = std::ssize(found.own) + std::ssize(found.shared);
        co_return found;
    }

    asio::awaitable<std::string> resume(StoredStudy study) {
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
        const std::string how = co_await let_go_on(study);
        co_return fmt::format("study {} goes on{}", study.name, how);
    }

    asio::awaitable<std::string> let_go_on(StoredStudy study) {
        if (!host_.is_active(study.name)) {
            co_await host_.go_on(study);
        }
        co_return host_.how_it_goes_on(study.name);
    }

    // A job is tried for the studies that show it: those that run, or else the first.
    asio::awaitable<std::string> let_studies_go_on(JobReference job) {
        const auto names =
            host_.store().read([&](SQLite::Database& database) { return studies_of_job(database, job.job); });
        const bool runs = std::any_of(names.begin(), names.end(),
                                      [&](const std::string& name) { return host_.is_active(name); });
        if (runs || names.empty()) {
            co_return "";
        }
        co_return co_await let_go_on(find_stored(names.front()));
    }

    ControlHost& host_;
};

}  // namespace

asio::awaitable<std::string> apply_control_in_slices(ControlHost& host, ControlRequest request) {
    Controls controls(host);
    switch (request.control) {
        case Control::cancel:
            co_return co_await controls.cancel(request.target);
        case Control::retry:
            co_return co_await controls.retry(request.target);
        case Control::pause:
            co_return co_await controls.pause(request.target);
        case Control::resume:
            co_return co_await controls.resume(request.target);
        case Control::drain:
            co_return controls.drain(request.target);
    }
    throw std::logic_error("no such control");
}

std::string apply_control(ControlHost& host, const ControlRequest& request) {
    asio::io_context io;
    std::string text;
    std::exception_ptr failure;
    asio::co_spawn(io, apply_control_in_slices(host, request),
                   [&](std::exception_ptr error, std::string done) {
                       failure = std::move(error);
                       text = std::move(done);
                   });
    io.run();
    if (failure) {
        std::rethrow_exception(failure);
    }
    return text;
}

}  // namespace orchestrate
