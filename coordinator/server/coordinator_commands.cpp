// What users change in a coordinator.
#include <algorithm>

#include <fmt/format.h>

#include "common/base/error.h"
#include "coordinator/server/control.h"
#include "coordinator/server/coordinator.h"
#include "coordinator/sites/local_devices.h"

namespace orchestrate {

class Coordinator::LiveControl final : public ControlHost {
  public:
    explicit LiveControl(Coordinator& coordinator) : coordinator_(coordinator) {}

    JobStore& store() override { return coordinator_.store_; }
    bool is_active(const std::string& study) const override {
        const StudyRun* run = coordinator_.find_run(study);
        return run != nullptr && !run->has_ended();
    }
    bool cancel_job(std::int64_t job) override { return coordinator_.dispatcher_.cancel(job); }
    bool ask_again(std::int64_t job) override { return coordinator_.dispatcher_.ask_again(job); }

    void study_cancelled(const StoredStudy& study) override {
        if (is_active(study.name)) {
            coordinator_.find_run(study.name)->end(StudyState::cancelled);
            coordinator_.dispatcher_.hold_study(study.row, false);
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

    void go_on(const StoredStudy& study) override {
        Study loaded = load_study_text(study.toml, study.file, look_at_devices());
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
        return coordinator_.dispatcher_.drain_for_good(worker, "a person asked for it");
    }

  private:
    Coordinator& coordinator_;
};

TextReply Coordinator::control(const ControlRequest& request) {
    TextReply reply;
    if (ending_ || interrupted_) {
        reply.refused = "the coordinator is about to end; try again when it has";
        return reply;
    }
    LiveControl host(*this);
    try {
        const auto hold = watch_.hold("a change asked for by a user of", request.target);
        reply.text = apply_control(host, request);
        note(reply.text);
    } catch (const StoreUnavailable& error) {
        dispatcher_.pause(error.what());
        reply.refused = std::string("the database cannot be written at the moment: ") + error.what();
    } catch (const std::exception& error) {
        reply.refused = error.what();
    }
    settle();
    if (!dispatcher_.commit()) {
        reply.refused =
            "not on disk yet, since the database cannot be written: " + dispatcher_.pause_reason() +
            ". It is done as soon as it can be, if the coordinator lives until then";
    }
    return reply;
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
        for (const std::int64_t job : paused->jobs()) {
            const auto other = std::find_if(runs_.begin(), runs_.end(), [&](const auto& run) {
                return !run->has_ended() && !run->is_paused() && run->has_job(job);
            });
            dispatcher_.give_to_study(job, other == runs_.end() ? paused->row() : (*other)->row());
        }
    }
}

}  // namespace orchestrate
