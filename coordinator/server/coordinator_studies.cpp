// The studies of a coordinator: where they come from, and what they ask of it.
#include <algorithm>
#include <cstdlib>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include "common/base/error.h"
#include "common/base/time_text.h"
#include "coordinator/server/coordinator.h"
#include "coordinator/sites/local_devices.h"
#include "coordinator/studies/study_owner.h"
#include "experiments/load_study.h"
#include "results/job_lookup.h"

namespace orchestrate {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kKeptEvents = 1000;

asio::awaitable<Study> load_submitted(std::string toml, std::filesystem::path file) {
    co_return load_study_text(toml, file, look_at_devices());
}

}  // namespace

asio::awaitable<Study> Coordinator::load_aside(std::string toml, std::filesystem::path file) {
    co_return co_await asio::co_spawn(loader_, load_submitted(std::move(toml), std::move(file)),
                                      asio::use_awaitable);
}

StudyRun* Coordinator::find_run(const std::string& study) const {
    const auto found = std::find_if(runs_.rbegin(), runs_.rend(),
                                    [&](const auto& run) { return run->study().name == study; });
    return found == runs_.rend() ? nullptr : found->get();
}

std::vector<std::string> Coordinator::studies() const {
    std::vector<std::string> names;
    for (const auto& run : runs_) {
        names.push_back(run->study().name);
    }
    return names;
}

StudyState Coordinator::outcome(const std::string& study) const {
    const StudyRun* run = find_run(study);
    if (run == nullptr || !run->has_ended()) {
        throw std::logic_error("study '" + study + "' has not ended here");
    }
    if (run->failure()) {
        std::rethrow_exception(run->failure());
    }
    return *run->outcome();
}

StudyRun& Coordinator::begin(Study study, OldFailures old_failures) {
    log_->info("runs study '{}' of {}", study.name, study.file.string());
    const StudyId row = store_.begin_study(study, old_failures);
    // One that has ended under the same name is not needed any more.
    std::erase_if(runs_, [&](const auto& run) { return run->study().name == study.name; });
    StudyHost& host = *this;
    runs_.push_back(
        std::make_unique<StudyRun>(std::move(study), row, old_failures, store_, dispatcher_, host, now()));
    update_progress_limit();
    for (const auto& stored : store_.studies()) {
        if (stored.row == row) {
            runs_.back()->set_paused(stored.paused);
            dispatcher_.hold_study(row, stored.paused);
        }
    }
    return *runs_.back();
}

bool Coordinator::add(Study study) {
    if (const auto conflict =
            store_.read([&](SQLite::Database& database) { return name_conflict(study, database); })) {
        throw UserError(*conflict);
    }
    const auto stored = store_.studies();
    const bool was_killed = std::any_of(stored.begin(), stored.end(), [&](const StoredStudy& known) {
        return known.name == study.name && known.state == StudyState::running;
    });
    begin(std::move(study), was_killed ? OldFailures::keep : OldFailures::ask_again);
    return was_killed;
}

void Coordinator::add_stored(const std::string& study) {
    const auto wanted = store_.read([&](SQLite::Database& database) { return find_study(database, study); });
    for (const auto& stored : store_.studies()) {
        if (stored.row == wanted.row) {
            begin(load_study_text(stored.toml, stored.file, look_at_devices()), OldFailures::keep);
        }
    }
}

void Coordinator::lift_pauses() {
    for (const auto& run : runs_) {
        if (run->is_paused()) {
            store_.set_study_paused(run->row(), false);
            hold(*run, false);
            note_study(run->study().name, "study " + run->study().name + " is no longer paused");
        }
    }
}

std::vector<std::string> Coordinator::left_running() {
    std::vector<std::string> names;
    for (const auto& stored : store_.studies()) {
        if (stored.state == StudyState::running && find_run(stored.name) == nullptr) {
            names.push_back(stored.name);
        }
    }
    return names;
}

std::vector<std::string> Coordinator::add_unfinished(Unfinished which) {
    std::vector<std::string> names;
    for (const auto& stored : store_.studies()) {
        const bool wanted = stored.state == StudyState::running ||
                            (stored.state == StudyState::interrupted && which == Unfinished::interrupted);
        if (!wanted || find_run(stored.name) != nullptr) {
            continue;
        }
        try {
            begin(load_study_text(stored.toml, stored.file, look_at_devices()), OldFailures::keep);
            names.push_back(stored.name);
        } catch (const StoreUnavailable&) {
            throw;
        } catch (const std::exception& error) {
            note_study(stored.name, "study " + stored.name + " cannot go on: " + error.what());
        }
    }
    return names;
}

// Nothing changes between the look at what runs and the commit that holds the new study: reading it comes before.
asio::awaitable<ClientReply> Coordinator::submit(SubmitStudy submission) {
    StudyAccepted reply;
    try {
        Study study = co_await load_aside(submission.toml, submission.file);
        reply.study = study.name;
        if (ending_ || interrupted_) {
            reply.ending = true;
            co_return reply;
        }
        if (const StudyRun* active = find_run(study.name); active != nullptr && !active->has_ended()) {
            reply.known = active->study().toml == study.toml && active->study().file == study.file;
            if (!reply.known && active->study().file != study.file) {
                co_return Refused{fmt::format(
                    "study '{0}' of another file is running here: '{1}', not '{2}'; give this one another "
                    "study.name, or another database by --db",
                    study.name, active->study().file.string(), study.file.string())};
            }
            if (!reply.known) {
                co_return Refused{fmt::format(
                    "study '{0}' is running with another text (orchestrate diff {0} {1} shows the "
                    "difference); "
                    "wait until it has ended, or end it by: orchestrate cancel {0}",
                    study.name, study.file.filename().string())};
            }
            co_return reply;
        }
        check_cluster(study);
        if (const auto conflict =
                store_.read([&](SQLite::Database& database) { return name_conflict(study, database); })) {
            co_return Refused{*conflict};
        }
        const auto hold = watch_.hold("the begin of study", reply.study);
        begin(std::move(study), OldFailures::ask_again);
        note_study(reply.study, "study " + reply.study + " was submitted");
        wake();
    } catch (const StoreUnavailable& error) {
        co_return Refused{std::string("the database cannot be written at the moment: ") + error.what()};
    } catch (const std::exception& error) {
        co_return Refused{error.what()};
    }
    co_return reply;
}

void Coordinator::add_event(const std::string& study, const std::string& line) {
    events_.push_back({++last_event_, utc_now_text(), study, line});
    if (events_.size() > kKeptEvents) {
        events_.pop_front();
    }
}

void Coordinator::note_study(const std::string& study, const std::string& line) {
    add_event(study, line);
    display_.note(runs_.size() > 1 && !study.empty() && line.find(study) == std::string::npos
                      ? study + ": " + line
                      : line);
}

void Coordinator::note_job(JobId job, const std::string& line) {
    const auto of = std::find_if(runs_.begin(), runs_.end(),
                                 [&](const auto& run) { return !run->has_ended() && run->has_job(job); });
    note_study(of == runs_.end() ? "" : (*of)->study().name, line);
}

// One limit serves all workers: the longest that a study asks for, or none.
void Coordinator::update_progress_limit() {
    std::int64_t longest = 0;
    for (const auto& run : runs_) {
        if (run->has_ended()) {
            continue;
        }
        const std::int64_t limit = run->study().progress_timeout_seconds;
        if (limit == 0) {
            longest = 0;
            break;
        }
        longest = std::max(longest, limit);
    }
    dispatcher_.set_progress_limit(std::chrono::seconds(longest));
}

void Coordinator::need_workers(const Study& study) {
    const bool slurm = study.cluster.kind == ClusterKind::slurm;
    open_server(slurm || options_.reachable);
    check_cluster(study);
    if (cluster_) {
        return;
    }
    cluster_ = study.cluster;
    dispatcher_.run_commands_in_one_process(!slurm);
    if (slurm) {
        slurm_ = std::make_unique<PilotSupervisor>(
            study.cluster, state_folder(options_.database), server_->worker_access_file(), log_,
            options_.heartbeat_interval,
            SlurmEnvironment{[](const auto& command) { return start_command(command); },
                             [this] { return now(); }, [this](const std::string& line) { note(line); }});
        if (const char* const outer = std::getenv("SLURM_JOB_ID"); outer != nullptr) {
            note("this runs inside Slurm job " + std::string(outer) +
                 ", whose nodes it does not use: its pilots are jobs of their own, which may wait until that "
                 "one ends");
        }
        slurm_->begin();
    } else {
        add_local_site(study);
    }
}

void Coordinator::do_aside(const std::function<void()>& work) {
    asio::post(loader_, [this, work] {
        work();
        asio::post(io_, [this] { after_events(); });
    });
}

// What Slurm refuses ends the studies that wait for it. The next one may ask for something else.
void Coordinator::keep_pilots() {
    try {
        slurm_->tick(work_is_left());
    } catch (const UserError&) {
        for (const auto& run : runs_) {
            if (!run->has_ended()) {
                run->fail(std::current_exception());
            }
        }
        slurm_.reset();
        cluster_.reset();
        wake();
    }
}

}  // namespace orchestrate
