#include "coordinator/cli/offline_control.h"

#include <optional>
#include <unordered_map>

#include <fmt/format.h>

#include "common/base/error.h"
#include "coordinator/database/database_lock.h"
#include "coordinator/server/control.h"

namespace orchestrate {
namespace {

class OfflineControl final : public ControlHost {
  public:
    explicit OfflineControl(JobStore& store) : store_(store) {}

    JobStore& store() override { return store_; }
    bool is_active(const std::string& /*study*/) const override { return false; }

    bool cancel_job(JobId job) override {
        // An attempt may run still, of a worker that waits for a coordinator: it will be told.
        if (!open_attempts_) {
            open_attempts_.emplace();
            for (const auto& attempt : store_.open_attempts()) {
                open_attempts_->emplace(attempt.id.job, attempt.id);
            }
        }
        if (const auto attempt = open_attempts_->find(job); attempt != open_attempts_->end()) {
            return store_.end_attempt({attempt->second, Cause::cancelled, "by a user", {}}).has_value();
        }
        return store_.cancel(job);
    }
    bool ask_again(JobId job) override { return store_.ask_again(job); }
    void study_cancelled(const StoredStudy& study) override {
        store_.set_study_state(study.row, StudyState::cancelled);
    }
    void set_paused(const StoredStudy& study, bool paused) override {
        store_.set_study_paused(study.row, paused);
    }
    boost::asio::awaitable<void> go_on(StoredStudy study) override {
        if (study.state !=
            StudyState::running) {  // else its coordinator was killed, and the next one goes on with it
            store_.set_study_state(study.row, StudyState::interrupted);
        }
        co_return;
    }
    boost::asio::awaitable<bool> others_go_first(const StoredStudy& /*study*/) override {
        store_.commit();
        co_return true;
    }
    std::string how_it_goes_on(const std::string& study) const override {
        return fmt::format("; no coordinator has the database: orchestrate resume {} trains it", study);
    }
    bool drain(const std::string& /*worker*/, std::vector<std::string>& /*workers*/) override {
        throw UserError("no coordinator has the database, so there are no workers to drain");
    }

  private:
    JobStore& store_;
    std::optional<std::unordered_map<JobId, AttemptId>> open_attempts_;  // by job; nothing: not read yet
};

}  // namespace

std::string control_offline(const std::filesystem::path& database, const ControlRequest& request) {
    if (!std::filesystem::exists(database)) {
        throw UserError("there is no database '" + database.string() +
                        "' here; run a study first, or name the database with --db FILE");
    }
    const DatabaseLock lock(database);
    JobStore store(database, {.grouped = true, .vfs = {}, .network_file_system = {}, .sync = true});
    OfflineControl host(store);
    std::string done = apply_control(host, request);
    store.commit();
    return done;
}

}  // namespace orchestrate
