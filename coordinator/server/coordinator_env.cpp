// What a coordinator finds and sets up around it: sites, processes, checkpoints, results left on disk.
#include <algorithm>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>

#include "common/base/error.h"
#include "common/base/host.h"
#include "common/protocol/result_spool.h"
#include "coordinator/server/coordinator.h"
#include "coordinator/sites/local_capacity.h"
#include "coordinator/sites/sites.h"

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

void Coordinator::open_server(bool all_addresses) {
    if (!server_) {
        server_ = std::make_unique<Server>(
            io_, state_folder(options_.database), all_addresses, log_,
            [this](std::shared_ptr<Connection> connection, Hello hello) {
                return serve(std::move(connection), std::move(hello));
            },
            ConnectionLimits{}, ServedDatabase{claim_.identity.id, claim_.identity.place});
        listens_on_all_addresses_ = all_addresses;
    }
    if (recovered_) {
        return;
    }
    const auto hold = watch_.hold("what an earlier coordinator left");
    accept_unacknowledged_results();
    dispatcher_.recover();
    recovered_ = true;
    asio::co_spawn(io_, server_->accept(), asio::detached);
}

void Coordinator::add_local_site(const Study& study) {
    const ClusterConfig& cluster = study.cluster;
    const auto capacity =
        local_capacity(cluster, options_.workers, {usable_cores(), visible_gpus(), usable_memory_mib()});
    if (!capacity.limited_by_memory.empty()) {
        note(capacity.limited_by_memory);
    }
    SiteOptions site;
    site.device = capacity.device;
    site.slots = capacity.slots;
    site.gpu_places = capacity.gpu_places;
    site.threads_per_rank = capacity.threads_per_rank;
    site.access_file = std::filesystem::absolute(server_->worker_access_file());
    site.log_folder = std::filesystem::absolute(state_folder(options_.database)) / "logs";
    site.heartbeat_interval = options_.heartbeat_interval;
    site.interface = cluster.interface.empty() ? "lo" : cluster.interface;
    log_->info("this machine: {} slots, {} thread(s) each, {}", site.slots, site.threads_per_rank,
               site.device);
    dispatcher_.add_site(kThisMachine, std::make_unique<LauncherSite>(make_local_launcher(false), site),
                         site.slots);
}

namespace {

// The first key of [cluster] by which Slurm would be asked for another pilot; empty: for the same.
std::string other_pilot(const ClusterConfig& a, const ClusterConfig& b) {
    const std::pair<const char*, bool> keys[]{
        {"nodes", a.nodes == b.nodes},
        {"slots", a.slots == b.slots},
        {"threads_per_rank", a.threads_per_rank == b.threads_per_rank},
        {"partition", a.partition == b.partition},
        {"account", a.account == b.account},
        {"time_limit", a.time_limit == b.time_limit},
        {"memory_mib_per_rank", a.memory_mib_per_rank == b.memory_mib_per_rank},
        {"sbatch_options", a.sbatch_options == b.sbatch_options},
        {"interface", a.interface == b.interface},
        {"mpi", a.mpi == b.mpi}};
    for (const auto& [key, is_same] : keys) {
        if (!is_same) {
            return std::string("cluster.") + key;
        }
    }
    return {};
}

}  // namespace

// The sites are those of the first study. Jobs go to whatever worker has their width, so a study that means other
// machines or devices cannot share them.
void Coordinator::check_cluster(const Study& study) const {
    const ClusterConfig& cluster = study.cluster;
    const std::string hint =
        ". Run it on a database of its own (--db FILE), or when the coordinator of this one has ended";
    if (!cluster_) {
        if (cluster.kind == ClusterKind::slurm && server_ && !listens_on_all_addresses_) {
            throw UserError("study '" + study.name +
                            "' runs on Slurm, whose nodes cannot reach this coordinator: it listens on the "
                            "loopback interface only. Start it again with --reachable");
        }
        return;
    }
    if (cluster.kind != cluster_->kind) {
        throw UserError("study '" + study.name + "' asks for cluster.kind = \"" + to_string(cluster.kind) +
                        "\", and the coordinator's workers run with \"" + to_string(cluster_->kind) + "\"" +
                        hint);
    }
    if (const std::string other = cluster.kind == ClusterKind::slurm ? other_pilot(cluster, *cluster_) : "";
        !other.empty()) {
        throw UserError("study '" + study.name + "' asks for another " + other +
                        " than the pilots of this coordinator have" + hint);
    }
    if (cluster.device != cluster_->device && cluster.device != DeviceChoice::automatic) {
        throw UserError("study '" + study.name + "' asks for cluster.device = \"" +
                        to_string(cluster.device) + "\", and the coordinator's workers run with \"" +
                        to_string(cluster_->device) + "\"" + hint);
    }
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
                throw StoreUnavailable(dispatcher_.pause_reason());
            }
            spool.remove(result.attempt);
        }
    } catch (const std::system_error& error) {
        log_->error("results on disk cannot be read: {}", error.what());
    }
}

void Coordinator::remove_checkpoints(JobId job) {
    checkpoints_.remove_job(job);
    if (!workers_with_uploads_.empty()) {
        asio::post(upload_thread_, [this, job] { uploads_.forget(job); });
    }
}

CheckpointPlan Coordinator::plan_checkpoints(const AttemptId& attempt, std::vector<StoredCheckpoint> stored) {
    CheckpointPlan plan;
    plan.attempt = attempt.number;
    for (const auto& run : runs_) {
        if (!run->has_ended() && run->has_job(attempt.job)) {
            plan.interval_seconds = run->study().checkpoint_interval_seconds;
            break;
        }
    }
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
