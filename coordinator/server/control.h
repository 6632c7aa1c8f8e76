// What people may change: cancel, retry, pause, resume, drain. Decides which jobs and studies a request means and says
// what was done, for a coordinator that runs and for a database that nobody has.
#pragma once

#include <string>
#include <vector>

#include "common/protocol/messages.h"
#include "coordinator/store/job_store.h"

namespace orchestrate {

// Those who make the changes.
class ControlHost {
  public:
    virtual ~ControlHost() = default;
    virtual JobStore& store() = 0;
    // Whether the study runs in this coordinator.
    virtual bool is_active(const std::string& study) const = 0;
    // By the table of job_states.h; false if the job is not in a state that this changes.
    virtual bool cancel_job(std::int64_t job) = 0;
    virtual bool ask_again(std::int64_t job) = 0;
    // The study has ended as cancelled; its jobs were cancelled before.
    virtual void study_cancelled(const StoredStudy& study) = 0;
    virtual void set_paused(const StoredStudy& study, bool paused) = 0;
    // Lets a study that does not run go on where it is: now, or once somebody runs a coordinator. Throws UserError or
    // StudyError if its file's text is not valid any more.
    virtual void go_on(const StoredStudy& study) = 0;
    // Appended to what was done to a study that shall go on: how, if it does not by itself.
    virtual std::string how_it_goes_on(const std::string& study) const = 0;
    // False if there is no such worker; then `workers` are those that there are.
    virtual bool drain(const std::string& worker, std::vector<std::string>& workers) = 0;
};

// Makes the change; it is on disk once the host commits. Returns what was done, in one sentence. Throws UserError if
// it cannot be done or changes nothing.
std::string apply_control(ControlHost& host, const ControlRequest& request);

}  // namespace orchestrate
