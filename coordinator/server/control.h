// What users may change: cancel, retry, pause, resume, drain. Decides which jobs and studies a request means and says
// what was done, for a coordinator that runs and for a database that nobody has.
#pragma once

#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "common/job/ids.h"
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
    virtual bool cancel_job(JobId job) = 0;
    virtual bool ask_again(JobId job) = 0;
    // The study's jobs are about to be cancelled: nothing of it begins any more.
    virtual void begin_cancelling(const StoredStudy& /*study*/) {}
    // The study has ended as cancelled; its jobs were cancelled before.
    virtual void study_cancelled(const StoredStudy& study) = 0;
    // Between two slices of the changes to a study's jobs: others may do what waits. False if the study that is cancelled was
    // begun anew meanwhile, so that its jobs are not to be cancelled any more.
    virtual boost::asio::awaitable<bool> others_go_first(const StoredStudy& /*study*/) { co_return true; }
    virtual void set_paused(const StoredStudy& study, bool paused) = 0;
    // Lets a study that does not run go on where it is: now, or once somebody runs a coordinator. Throws UserError or
    // StudyError if its file's text is not valid any more.
    virtual boost::asio::awaitable<void> go_on(StoredStudy study) = 0;
    // Appended to what was done to a study that shall go on: how, if it does not by itself.
    virtual std::string how_it_goes_on(const std::string& study) const = 0;
    // False if there is no such worker; then `workers` are those that there are.
    virtual bool drain(const std::string& worker, std::vector<std::string>& workers) = 0;
};

// Makes the change; it is on disk once the host commits. Returns what was done, in one sentence. Throws UserError if
// it cannot be done or changes nothing. The jobs of a study are changed in slices.
boost::asio::awaitable<std::string> apply_control_in_slices(ControlHost& host, ControlRequest request);

// The same at once, for a host that nobody waits for.
std::string apply_control(ControlHost& host, const ControlRequest& request);

}  // namespace orchestrate
