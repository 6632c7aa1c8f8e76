// Opens the parts of the worker that are shared objects of their own: training (LibTorch) and MPI. They lie
// in the folder of libraries beside the program: <program>/../lib.
#pragma once

#include <filesystem>
#include <memory>

#include "worker/collective.h"
#include "worker/training_api.h"

namespace orchestrate {

// <folder of the running program>/../lib
std::filesystem::path default_library_folder();

// Opens LibTorch and the training part with it (about a second, some hundred megabytes). The library stays
// open for the life of the process. Throws UserError that names the missing part and how to build it.
std::unique_ptr<TrainingEngine> open_training_engine(const std::filesystem::path& library_folder,
                                                     DeviceKind device);

// Opens the MPI part that fits the launcher this process was started by (Open MPI, or MPICH and its
// relatives) and initialises MPI. Throws UserError if none fits.
std::unique_ptr<Collective> open_mpi_collective(const std::filesystem::path& library_folder,
                                                const CollectiveOptions& options);

}  // namespace orchestrate
