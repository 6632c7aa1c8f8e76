#include "experiments/fields/cluster_fields.h"

#include <algorithm>
#include <regex>

#include "experiments/fields/field_access.h"
#include "experiments/fields/field_kinds.h"

namespace orchestrate {
namespace {

using namespace field_kinds;

Field time_limit() {
    Field field = text("cluster.time_limit", AT(cluster.time_limit), "Slurm: of one pilot.");
    field.unit = "[days-]h:m:s";
    field.schema = {{"type", "string"}, {"pattern", "^([0-9]{1,3}-)?[0-9]{1,3}(:[0-9]{2}){0,2}$"}};
    field.write = [](Settings& settings, const Value& value, Diagnostics& diagnostics) {
        static const std::regex kForm("([0-9]{1,3}-)?[0-9]{1,3}(:[0-9]{2}){0,2}");
        const auto* found = value.as_text();
        if (found && std::regex_match(*found, kForm)) {
            settings.cluster.time_limit = *found;
        } else {
            report_unfit(value, "cluster.time_limit", "a text such as \"01:30:00\" or \"2-00:00:00\"",
                         diagnostics);
        }
    };
    return field;
}

// "[days-]h:m:s", "m:s" or "m", as Slurm reads it.
double minutes_of(const std::string& limit) {
    const auto dash = limit.find('-');
    std::vector<double> parts;
    std::string rest = dash == std::string::npos ? limit : limit.substr(dash + 1);
    for (std::size_t begin = 0; begin <= rest.size();) {
        const std::size_t end = std::min(rest.find(':', begin), rest.size());
        parts.push_back(std::stod(rest.substr(begin, end - begin)));
        begin = end + 1;
    }
    if (dash != std::string::npos) {  // days-hours[:minutes[:seconds]]
        parts.resize(3, 0);
        return 24 * 60 * std::stod(limit.substr(0, dash)) + 60 * parts[0] + parts[1] + parts[2] / 60;
    }
    return parts.size() == 3   ? 60 * parts[0] + parts[1] + parts[2] / 60
           : parts.size() == 2 ? parts[0] + parts[1] / 60
                               : parts[0];
}

}  // namespace

void check_cluster(const Settings& settings, const GivenFields& given, Diagnostics& diagnostics) {
    const auto& cluster = settings.cluster;
    if (cluster.kind != ClusterKind::slurm) {
        return;
    }
    if (const auto found = given.find("cluster.jobs_per_gpu");
        found != given.end() && cluster.jobs_per_gpu > 1) {
        diagnostics.error(
            found->second.where,
            "cluster.jobs_per_gpu is of this machine; on Slurm each rank gets a GPU of its own. Expected 1");
    }
    const auto expected = given.find("study.expected_job_minutes");
    if (expected != given.end() && settings.expected_job_minutes > minutes_of(cluster.time_limit)) {
        diagnostics.warning(
            expected->second.where,
            "a job takes longer than a pilot lives (cluster.time_limit = \"" + cluster.time_limit +
                "\"): each will be interrupted and go on in the next pilot; expected a longer one");
    }
}

std::vector<Field> cluster_fields() {
    return {
        one_of<ClusterKind>("cluster.kind", AT(cluster.kind), "Where workers run."),
        one_of<DeviceChoice>("cluster.device", AT(cluster.device),
                             "`\"automatic\"`: GPUs where there are any."),
        integer("cluster.slots", "ranks", 0, 4096, AT(cluster.slots),
                "Run at a time, per node; 0: one per CPU core or GPU."),
        integer("cluster.threads_per_rank", "threads", 0, 4096, AT(cluster.threads_per_rank),
                "0: cores divided by slots."),
        integer("cluster.nodes", "", 1, 65536, AT(cluster.nodes), "Slurm: of one pilot."),
        text("cluster.partition", AT(cluster.partition), "Slurm; default: the cluster's."),
        text("cluster.account", AT(cluster.account), "Slurm; default: the user's."),
        time_limit(),
        integer("cluster.jobs_per_gpu", "", 1, 64, AT(cluster.jobs_per_gpu),
                "So many one-rank workers share a GPU of this machine, each with a job of its own. Not on "
                "Slurm."),
        integer("cluster.memory_mib_per_rank", "MiB", 0, 1 << 30, AT(cluster.memory_mib_per_rank),
                "What Slurm is asked for; on this machine no more ranks run at a time than its memory has "
                "room for. 0: "
                "2048 on Slurm, no limit on this machine."),
        path("cluster.shared_folder", AT(cluster.shared_folder),
             "Slurm: a folder that all nodes see. Default: beside the database."),
        names("cluster.sbatch_options", "option", AT(cluster.sbatch_options),
              "Slurm: passed on as they are."),
        text("cluster.interface", AT(cluster.interface),
             "Network interface of the traffic among the ranks of a worker (MPI, NCCL), which is not "
             "authenticated: "
             "`\"ib0\"`. Default: this machine's loopback; on Slurm, what MPI and NCCL choose."),
        text("cluster.mpi", AT(cluster.mpi), "Value of srun's `--mpi`; automatic: pmix, or pmi2 for MPICH."),
    };
}

}  // namespace orchestrate
