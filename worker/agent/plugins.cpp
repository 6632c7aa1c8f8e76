#include "worker/agent/plugins.h"

#include <cstdlib>
#include <initializer_list>

#include <dlfcn.h>

#include "common/base/error.h"
#include "common/base/host.h"

namespace orchestrate {
namespace {

void* open_symbol(const std::filesystem::path& library, const char* symbol, const std::string& what_for) {
    if (!std::filesystem::exists(library)) {
        throw UserError("this worker has no " + what_for + " part: '" + library.string() +
                        "' does not exist; build it with ./setup");
    }
    // Never closed: LibTorch and MPI do not survive being unloaded.
    void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_GLOBAL);
    if (handle == nullptr) {
        throw UserError("cannot open the " + what_for + " part of the worker: " + dlerror());
    }
    void* address = dlsym(handle, symbol);
    if (address == nullptr) {
        throw UserError("'" + library.string() + "' is of another version of orchestrate: " + dlerror());
    }
    return address;
}

bool any_set(std::initializer_list<const char*> variables) {
    for (const char* variable : variables) {
        if (std::getenv(variable) != nullptr) {
            return true;
        }
    }
    return false;
}

}  // namespace

std::filesystem::path default_library_folder() {
    return program_folder().parent_path() / "lib";
}

std::unique_ptr<TrainingEngine> open_training_engine(const std::filesystem::path& library_folder,
                                                     DeviceKind device) {
    const auto open = reinterpret_cast<OpenTrainingEngine>(
        open_symbol(library_folder / "liborchestrate_training.so", kOpenTrainingEngineSymbol, "training"));
    return std::unique_ptr<TrainingEngine>(open(device, library_folder.c_str()));
}

std::unique_ptr<Collective> open_mpi_collective(const std::filesystem::path& library_folder,
                                                const CollectiveOptions& options) {
    const bool open_mpi = any_set({"OMPI_COMM_WORLD_SIZE", "PMIX_RANK"});
    const bool mpich = any_set({"PMI_RANK", "PMI_FD", "PMI_SIZE"});
    if (!open_mpi && !mpich) {
        throw UserError(
            "more than one rank needs MPI, but this process was not started by mpirun or srun --mpi: start "
            "the "
            "worker with mpirun -n RANKS, or let orchestrate start it");
    }
    const char* name = open_mpi ? "liborchestrate_mpi_openmpi.so" : "liborchestrate_mpi_mpich.so";
    const auto open = reinterpret_cast<OpenCollective>(
        open_symbol(library_folder / name, kOpenCollectiveSymbol, open_mpi ? "Open MPI" : "MPICH"));
    return std::unique_ptr<Collective>(open(options));
}

}  // namespace orchestrate
