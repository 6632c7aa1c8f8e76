// What users change in a coordinator.
#include <algorithm>
#include <optional>

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include "common/base/error.h"
#include "coordinator/server/control.h"
#include "coordinator/server/coordinator.h"
#include "coordinator/sites/local_devices.h"

namespace orchestrate {

class Coordinator::LiveControl final : public ControlHost {
  public:
    LiveControl(Coordinator& coordinator, std::string_view target)
        : coordinator_(coordinator), target_(target) {
        begin_hold();
    }

    JobStore& store() override { return coordinator_.store_; }
    bool is_active(const std::string& study) const override {
        const StudyRun* run = coordinator_.find_run(study);
        return run != nullptr && !run->has_ended();
    }
    bool cancel_job(JobId job) override { return coordinator_.dispatcher_.cancel(job); }
    bool ask_again(JobId job) override { return coordinator_.dispatcher_.ask_again(job); }

    void begin_cancelling(const StoredStudy& study) override {
        if (is_active(study.name)) {
            began_at_ = coordinator_.find_run(study.name)->began_at();
            coordinator_.find_run(study.name)->end(StudyState::cancelled);
            held_row_ = study.row;
            coordinator_.dispatcher_.hold_study(study.row, true);
            coordinator_.wake();
        }
    }

    boost::asio::awaitable<bool> others_go_first(const StoredStudy& study) override {
        coordinator_.after_events();
        hold_.reset();
        co_await boost::asio::post(coordinator_.io_, boost::asio::use_awaitable);
        begin_hold();
        const bool begun_anew =
            began_at_ && is_active(study.name) && coordinator_.find_run(study.name)->began_at() != *began_at_;
        if (begun_anew) {
            held_row_.reset();
        }
        co_return !begun_anew;
    }

    // Also when the change broke off: jobs that other studies share may begin again. Throws StoreUnavailable.
    void let_go() {
        if (const auto row = std::exchange(held_row_, std::nullopt)) {
            coordinator_.dispatcher_.hold_study(*row, false);
        }
    }

    void study_cancelled(const StoredStudy& study) override {
        if (is_active(study.name)) {
            coordinator_.find_run(study.name)->end(StudyState::cancelled);
            coordinator_.wake();
        }
        store().set_study_state(study.row, StudyState::cancelled);
    }

    void set_paused(const StoredStudy& study, bool paused) override {
        store().set_study_paused(study.row, paused);
        if (is_active(study.name)) {
            coordinator_.hold(*coordinator_.find_run(study.name), paused);
        }
    }

    boost::asio::awaitable<void> go_on(StoredStudy study) override {
        hold_.reset();
        Study loaded = co_await coordinator_.load_aside(study.toml, study.file);
        begin_hold();
        if (is_active(study.name)) {
            co_return;  // another user was quicker
        }
        coordinator_.check_cluster(loaded);
        coordinator_.begin(std::move(loaded), OldFailures::keep);
        coordinator_.wake();
    }

    std::string how_it_goes_on(const std::string& /*study*/) const override { return ""; }

    bool drain(const std::string& worker, std::vector<std::string>& workers) override {
        for (const auto& [name, entry] : coordinator_.dispatcher_.workers()) {
            if (entry.connection) {
                workers.push_back(name);
            }
        }
        return coordinator_.dispatcher_.drain_for_good(worker, "a user asked for it");
    }

  private:
    void begin_hold() {
        hold_.reset();  // they end in the order in which they began
        hold_.emplace(coordinator_.watch_, "a change asked for by a user of", target_);
    }

    Coordinator& coordinator_;
    std::string_view target_;
    std::optional<LoopWatch::Hold> hold_;  // while this runs
    // Of a study that is cancelled: when it began here, and its row while nothing of it may begin.
    std::optional<std::chrono::steady_clock::time_point> began_at_;
    std::optional<StudyId> held_row_;
};

boost::asio::awaitable<ClientReply> Coordinator::control(ControlRequest request) {
    if (ending_ || interrupted_) {
        co_return Refused{"the coordinator is about to end; try again when it has"};
    }
    ClientReply reply;
    LiveControl host(*this, request.target);
    ++controls_;
    try {
        const std::string text = co_await apply_control_in_slices(host, request);
        note(text);
        reply = TextReply{text};
    } catch (const StoreUnavailable& error) {
        dispatcher_.pause(error.what());
        reply = Refused{std::string("the database cannot be written at the moment: ") + error.what()};
    } catch (const std::exception& error) {
        reply = Refused{error.what()};
    }
    --controls_;
    try {
        host.let_go();
    } catch (const StoreUnavailable& error) {
        dispatcher_.pause(error.what());
    }
    wake();
    after_events();
    if (!dispatcher_.commit()) {
        reply =
            Refused{"not on disk yet, since the database cannot be written: " + dispatcher_.pause_reason() +
                    ". It is done as soon as it can be, if the coordinator lives until then"};
    }
    co_return reply;
}

void Coordinator::hold(StudyRun& run, bool paused) {
    run.set_paused(paused);
    dispatcher_.hold_study(run.row(), paused);
    share_jobs_of_paused_studies();
}

void Coordinator::share_jobs_of_paused_studies() {
    for (const auto& paused : runs_) {
        if (paused->has_ended() || !paused->is_paused()) {
            continue;
        }
        for (const JobId job : paused->jobs()) {
            const auto other = std::find_if(runs_.begin(), runs_.end(), [&](const auto& run) {
                return !run->has_ended() && !run->is_paused() && run->has_job(job);
            });
            dispatcher_.give_to_study(job, other == runs_.end() ? paused->row() : (*other)->row());
        }
    }
}

}  // namespace orchestrate
