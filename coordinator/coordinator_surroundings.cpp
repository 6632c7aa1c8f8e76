// What a coordinator finds and sets up around it: sites, processes, checkpoints, results left on disk.
#include <algorithm>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>

#include "common/host.h"
#include "common/result_spool.h"
#include "coordinator/coordinator.h"
#include "coordinator/local_capacity.h"
#include "coordinator/sites.h"

namespace orchestrate {

namespace asio = boost::asio;

namespace {

constexpr const char* kThisMachine = "local";

}  // namespace

std::string Coordinator::allocation_state(const std::string& site) {
    return slurm_ ? slurm_->end_of(site) : "";
}

bool Coordinator::has_ended(const std::string& host, std::int64_t process) {
    return host == host_name() && !process_is_alive(process);
}

void Coordinator::set_up_sites(const Study& study) {
    if (server_) {
        return;  // by an earlier stage
    }
    const bool slurm = study.cluster.kind == ClusterKind::slurm;
    server_ = std::make_unique<Server>(io_, state_folder(options_.database), slurm, log_,
                                       [this](std::shared_ptr<Connection> connection, Hello hello) {
                                           return serve(connection, std::move(hello));
                                       });
    accept_unacknowledged_results();
    dispatcher_.recover();
    if (slurm) {
        slurm_ = std::make_unique<SlurmSites>(
            study.cluster, state_folder(options_.database), server_->worker_access_file(), log_,
            options_.heartbeat_interval, [this](const std::string& line) { display_.note(line); });
        slurm_->begin();
    } else {
        const auto capacity = local_capacity(study.cluster, options_.workers,
                                             {usable_cores(), visible_gpus(), usable_memory_mib()});
        if (!capacity.limited_by_memory.empty()) {
            display_.note(capacity.limited_by_memory);
        }
        SiteOptions site;
        site.device = capacity.device;
        site.slots = capacity.slots;
        site.gpu_places = capacity.gpu_places;
        site.threads_per_rank = capacity.threads_per_rank;
        site.access_file = std::filesystem::absolute(server_->worker_access_file());
        site.log_folder = std::filesystem::absolute(state_folder(options_.database)) / "logs";
        site.heartbeat_interval = options_.heartbeat_interval;
        site.run_commands = study.is_of_command();
        site.interface = study.cluster.interface.empty() ? "lo" : study.cluster.interface;
        log_->info("this machine: {} slots, {} thread(s) each, {}", site.slots, site.threads_per_rank,
                   site.device);
        dispatcher_.add_site(kThisMachine, std::make_unique<LauncherSite>(make_local_launcher(false), site),
                             site.slots);
    }
    asio::co_spawn(io_, server_->accept(), asio::detached);
}

// Results whose worker has ended before an earlier coordinator could acknowledge them.
void Coordinator::accept_unacknowledged_results() {
    try {
        const auto files = make_system_files();
        ResultSpool spool(*files,
                          spool_folder(std::filesystem::absolute(state_folder(options_.database)) / "logs",
                                       server_->certificate_fingerprint()));
        const auto leftovers = spool.leftovers();
        for (const auto& reason : leftovers.unreadable) {
            log_->error("a result on disk cannot be read: {}", reason);
        }
        for (const auto& result : leftovers.results) {
            log_->info("job {}, attempt {} has left its result on disk", result.attempt.job,
                       result.attempt.number);
            dispatcher_.accept_leftover(result);
            if (!dispatcher_.commit()) {
                break;  // the next start finds it again
            }
            spool.remove(result.attempt);
        }
    } catch (const std::system_error& error) {
        log_->error("results on disk cannot be read: {}", error.what());
    }
}

void Coordinator::remove_checkpoints(std::int64_t job) {
    checkpoints_.remove_job(job);
    asio::post(parcel_thread_, [this, job] { parcels_.forget(job); });
}

CheckpointPlan Coordinator::plan_checkpoints(const AttemptId& attempt, std::vector<StoredCheckpoint> stored) {
    CheckpointPlan plan;
    plan.attempt = attempt.number;
    plan.interval_seconds = checkpoint_interval_seconds_;
    try {
        checkpoints_.begin(attempt);
        plan.folder = checkpoints_.folder(attempt).string();
        plan.resume_from = checkpoints_.candidates(attempt, std::move(stored));
        plan.mark = checkpoints_.mark();
    } catch (const std::system_error& error) {
        log_->error("job {}, attempt {} keeps no checkpoints: {}", attempt.job, attempt.number, error.what());
    }
    return plan;
}

}  // namespace orchestrate
