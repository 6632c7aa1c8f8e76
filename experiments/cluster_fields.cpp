#include "experiments/cluster_fields.h"

#include <regex>

#include "experiments/field_access.h"
#include "experiments/field_kinds.h"

namespace orchestrate {
namespace {

using namespace field_kinds;

Field time_limit() {
    Field field = text("cluster.time_limit", AT(cluster.time_limit), "Slurm: of one pilot.");
    field.unit = "[days-]h:m:s";
    field.schema = {{"type", "string"}, {"pattern", "^([0-9]{1,3}-)?[0-9]{1,3}(:[0-9]{2}){0,2}$"}};
    field.write = [](Settings& settings, const Value& value, Mistakes& mistakes) {
        static const std::regex kForm("([0-9]{1,3}-)?[0-9]{1,3}(:[0-9]{2}){0,2}");
        const auto* found = value.as_text();
        if (found && std::regex_match(*found, kForm)) {
            settings.cluster.time_limit = *found;
        } else {
            report_unfit(value, "cluster.time_limit", "a text such as \"01:30:00\" or \"2-00:00:00\"",
                         mistakes);
        }
    };
    return field;
}

}  // namespace

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
        integer("cluster.memory_mib_per_rank", "MiB", 1, 1 << 30, AT(cluster.memory_mib_per_rank), "Slurm."),
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
